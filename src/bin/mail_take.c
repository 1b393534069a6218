/* Taking a message from a server. */
#include "bin/mail_take.h"

#include "base/file.h"
#include "message/summary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct taking {
    struct mail_message *message;
    struct msg_scan *scan;
    int errno_value; /* of the file */
};

static enum err begin(void *arg, uint64_t bytes)
{
    (void)arg;
    (void)bytes;
    return ERR_OK;
}

static enum err take_piece(void *arg, struct slice piece)
{
    struct taking *t = arg;
    msg_scan_feed(t->scan, piece);
    t->message->bytes += piece.len;
    enum err e = file_write(t->message->fd, piece);
    if (e != ERR_OK)
        t->errno_value = errno;
    return e;
}

/* Without a name from the beginning where the file system can, else without one at once. */
static int file_without_name(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int fd = open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (snprintf(path, sizeof path, "%s/barid-XXXXXX", folder && *folder ? folder : "/tmp") >=
        (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

int mail_take(struct mail_session *session, uint32_t uid, struct mail_message *out_message)
{
    *out_message = (struct mail_message){ .fd = file_without_name() };
    buf_init(&out_message->summary_bytes, 0);
    if (out_message->fd < 0) {
        cli_error(MSG_FILE_FAILED, "TMPDIR", strerror(errno));
        return EX_CANTCREAT;
    }
    struct taking taking = { .message = out_message, .scan = msg_scan_new() };
    struct imapc_take take = { .begin = begin, .piece = take_piece, .arg = &taking };
    enum err e = imapc_read_message(session->imap, uid, &take);
    enum err scanned = msg_scan_finish(taking.scan, &out_message->summary_bytes);
    msg_scan_free(taking.scan);
    if (taking.errno_value) {
        cli_error(MSG_FILE_FAILED, "TMPDIR", strerror(taking.errno_value));
        return EX_IOERR;
    }
    if (e == ERR_NOT_FOUND && !imapc_is_broken(session->imap)) {
        cli_error(MSG_READ_NO_MESSAGE, (unsigned)uid);
        return EX_NOINPUT;
    }
    if (e != ERR_OK)
        return mail_failed(session, e);
    if (scanned == ERR_OK)
        scanned = msg_summary_open(buf_slice(&out_message->summary_bytes), &out_message->summary);
    if (scanned == ERR_OK)
        return EX_OK;
    cli_error_text(err_words(scanned));
    return EX_SOFTWARE;
}

void mail_message_done(struct mail_message *message)
{
    if (message->fd >= 0)
        close(message->fd);
    buf_done(&message->summary_bytes);
}

static enum err read_piece(void *arg, uint64_t offset, size_t len, struct buf *out)
{
    const struct mail_message *message = arg;
    char *room = buf_room(out, len);
    if (!room)
        return ERR_LIMIT;
    for (size_t have = 0; have < len;) {
        ssize_t got = pread(message->fd, room + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_IO;
        have += (size_t)got;
    }
    buf_wrote(out, len);
    return ERR_OK;
}

struct msg_source mail_message_source(struct mail_message *message)
{
    return (struct msg_source){ .size = message->bytes, .read = read_piece, .source_arg = message };
}
