/* Names of error kinds and their relation to errno. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *err_name(enum err e)
{
    static const char *const names[] = {
        [ERR_OK] = "ok",
        [ERR_SYNTAX] = "syntax",
        [ERR_LIMIT] = "limit",
        [ERR_NOT_FOUND] = "not-found",
        [ERR_EXISTS] = "exists",
        [ERR_DENIED] = "denied",
        [ERR_AUTH] = "auth",
        [ERR_BUSY] = "busy",
        [ERR_NO_SPACE] = "no-space",
        [ERR_IO] = "io",
        [ERR_CORRUPT] = "corrupt",
        [ERR_TIMEOUT] = "timeout",
        [ERR_CLOSED] = "closed",
        [ERR_CANCELED] = "canceled",
    };
    if ((unsigned)e >= sizeof names / sizeof names[0])
        return "unknown";
    return names[e];
}

static const char *(*translation)(const char *english);

void err_language(const char *(*translate)(const char *english))
{
    translation = translate;
}

const char *err_in(const char *english)
{
    return translation ? translation(english) : english;
}

const char *err_words(enum err e)
{
    static const char *const words[] = {
        [ERR_OK] = "all is well",
        [ERR_SYNTAX] = "it is not as it should be",
        [ERR_LIMIT] = "it is over a limit",
        [ERR_NOT_FOUND] = "it is not there",
        [ERR_EXISTS] = "it is there already",
        [ERR_DENIED] = "it is not allowed",
        [ERR_AUTH] = "wrong user or password",
        [ERR_BUSY] = "it is in use",
        [ERR_NO_SPACE] = "there is no room",
        [ERR_IO] = "the disk or the system failed",
        [ERR_CORRUPT] = "it is damaged",
        [ERR_TIMEOUT] = "it took too long",
        [ERR_CLOSED] = "the other side went away",
        [ERR_CANCELED] = "it was stopped",
    };
    if ((unsigned)e >= sizeof words / sizeof words[0])
        return err_in("the disk or the system failed");
    return err_in(words[e]);
}

enum err err_from_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NO_SPACE;
    case EAGAIN:
    case EBUSY:
    case EMFILE:
    case ENFILE:
        return ERR_BUSY;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case ECANCELED:
        return ERR_CANCELED;
    default:
        return ERR_IO;
    }
}

enum err err_noted(struct err_note *note, enum err e, const char *format, ...)
{
    if (note) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(note->text, sizeof note->text, err_in(format), args);
        va_end(args);
    }
    return e;
}
