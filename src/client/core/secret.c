/* Where the secret of an account comes from. It passes through memory that is wiped, never through an argument, the environment or a log. */
#include "client/core/secret.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "client/core/account.h"
#include "client/core/command.h"
#include "client/core/oauth_login.h"
#include "proto/sasl/sasl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS (120 * 1000) /* somebody may have to type the phrase of a key ring */
#define NOTES_BYTES_MAX    65536u       /* below a password or token */
#define FILE_BYTES_MAX     65536u

/* Appends the first line of text. */
static enum err take_first_line(
    struct slice text, size_t bytes_max, const char *from, struct buf *out, struct err_note *note)
{
    struct slice line = slice_sub(text, 0, slice_index(text, '\n'));
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (slice_starts(line, SLICE("\xef\xbb\xbf"))) /* some editors begin UTF-8 with it */
        line = slice_from_index(line, 3);
    if (line.len == 0)
        return err_noted(note, ERR_NOT_FOUND, "%s: the first line is empty", from);
    if (line.len > bytes_max)
        return err_noted(note, ERR_LIMIT, "%s: the first line is over %zu bytes", from, bytes_max);
    if (slice_index(line, '\0') < line.len || slice_index(line, '\r') < line.len)
        return err_noted(note, ERR_SYNTAX, "%s: the first line has a control character", from);
    buf_add(out, line);
    return buf_err(out);
}

enum err client_secret_of_command(
    char *const *words, const char *name, size_t bytes_max, struct buf *out, struct err_note *note)
{
    struct buf text;
    size_t all_max = bytes_max + NOTES_BYTES_MAX;
    buf_init(&text, 0);
    (void)buf_room(&text, all_max + 8192); /* so that it never grows and leaves a copy behind */
    enum err e = client_command_read(words, name, COMMAND_TIMEOUT_MS, all_max, &text, note);
    if (!e)
        e = take_first_line(buf_slice(&text), bytes_max, words[0], out, note);
    sasl_buf_wipe(&text);
    return e;
}

static enum err from_secret_service(
    const struct client_account *account, struct buf *out, struct err_note *note)
{
    static char program[] = "secret-tool", verb[] = "lookup", attribute[] = "barid";
    char *words[] = { program, verb, attribute, account->name, NULL };
    enum err e = client_secret_of_command(words, "secret-service", PASSWORD_BYTES_MAX, out, note);
    if (e == ERR_IO || (e == ERR_NOT_FOUND && note && strstr(note->text, "empty")))
        return err_noted(note, ERR_NOT_FOUND,
            "the Secret Service has nothing for %s; store it with: secret-tool store --label=%s "
            "barid %s",
            account->name, account->name, account->name);
    return e;
}

static enum err open_secret_file(const char *path, int *out_fd, struct err_note *note)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum err e = ERR_OK;
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        e = err_noted(note, ERR_DENIED, "%s is no file", path);
    else if (st.st_uid != geteuid())
        e = err_noted(note, ERR_DENIED, "%s belongs to another user", path);
    else if (st.st_mode & 077)
        e = err_noted(note, ERR_DENIED, "%s can be used by others: chmod 600 it", path);
    if (e)
        close(fd);
    else
        *out_fd = fd;
    return e;
}

enum err client_secret_of_file(const char *path, struct buf *out, struct err_note *note)
{
    autoclose int fd = -1;
    struct buf text;
    enum err e = ERR_OK;
    TRY(open_secret_file(path, &fd, note));
    buf_init(&text, 0);
    char *to = buf_room(&text, FILE_BYTES_MAX);
    for (ssize_t got = 1; got > 0 && buf_len(&text) < FILE_BYTES_MAX;) {
        got = read(fd, to + buf_len(&text), FILE_BYTES_MAX - buf_len(&text));
        if (got < 0)
            e = err_noted(note, ERR_IO, "%s: %s", path, strerror(errno));
        if (got > 0)
            buf_wrote(&text, (size_t)got);
    }
    if (!e)
        e = take_first_line(buf_slice(&text), PASSWORD_BYTES_MAX, path, out, note);
    sasl_buf_wipe(&text);
    return e;
}

/* ---- a person ---- */

/* Takes one key. False at the end of the line. Ctrl-C cancels, Ctrl-U begins anew. */
static bool take_key(char key, struct buf *line, enum err *e)
{
    switch (key) {
    case '\n':
    case '\r':
        return false;
    case 3:
    case 4:
        *e = ERR_CANCELED;
        return false;
    case 0x15:
        buf_truncate(line, 0);
        return true;
    case 8:
    case 0x7f: /* a whole character of UTF-8 */
        while (buf_len(line) > 0) {
            unsigned char last = slice_at(buf_slice(line), buf_len(line) - 1);
            buf_truncate(line, buf_len(line) - 1);
            if ((last & 0xc0) != 0x80)
                break;
        }
        return true;
    default:
        if (buf_len(line) < PASSWORD_BYTES_MAX)
            buf_addc(line, key);
        return true;
    }
}

static enum err read_keys(int tty, struct buf *line)
{
    enum err e = ERR_OK;
    for (;;) {
        char key;
        ssize_t got = read(tty, &key, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ERR_NOT_FOUND;
        if (!take_key(key, line, &e))
            return e;
    }
}

static void say(int tty, const char *text)
{
    if (write(tty, text, strlen(text)) < 0)
        return;
}

/* The terminal, not standard input: that may be a message. Signals of keys are off meanwhile, so that none leaves it without echo. */
static enum err from_person(const struct client_account *account, const char *prompt,
    struct buf *out, struct err_note *note)
{
    struct termios before, quiet;
    struct buf line;
    autoclose int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0 || tcgetattr(tty, &before) < 0)
        return err_noted(note, ERR_NOT_FOUND,
            "no password for %s: no terminal to ask on, and accounts.conf names no password-command"
            " or password-file",
            account->name);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    buf_init(&line, 0);
    (void)buf_room(&line, PASSWORD_BYTES_MAX + 1);
    if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
        return err_noted(note, ERR_IO, "the terminal cannot hide what is typed");
    say(tty, prompt);
    enum err e = read_keys(tty, &line);
    (void)tcsetattr(tty, TCSAFLUSH, &before);
    say(tty, "\n");
    if (e)
        (void)err_noted(note, e, "no password was typed");
    else
        e = take_first_line(buf_slice(&line), PASSWORD_BYTES_MAX, "password", out, note);
    sasl_buf_wipe(&line);
    return e;
}

enum err client_secret_prompted(const struct client_account *account, const char *prompt,
    struct buf *out_secret, bool *out_token, struct err_note *note)
{
    (void)buf_room(out_secret, OAUTH_TOKEN_BYTES_MAX + 1);
    *out_token = account->token_command || client_uses_oauth(account);
    if (client_uses_oauth(account))
        return client_oauth_token(account, SLICE_EMPTY, out_secret, note);
    if (account->token_command)
        return client_secret_of_command(
            account->token_command, "token-command", OAUTH_TOKEN_BYTES_MAX, out_secret, note);
    if (account->password_command)
        return client_secret_of_command(
            account->password_command, "password-command", PASSWORD_BYTES_MAX, out_secret, note);
    if (account->password_file)
        return client_secret_of_file(account->password_file, out_secret, note);
    if (account->secret_service)
        return from_secret_service(account, out_secret, note);
    return from_person(account, prompt, out_secret, note);
}

enum err client_secret(const struct client_account *account, struct buf *out_secret,
    bool *out_token, struct err_note *note)
{
    char prompt[USER_NAME_BYTES_MAX + 32];
    (void)snprintf(prompt, sizeof prompt, "Password for %s: ", account->user);
    return client_secret_prompted(account, prompt, out_secret, out_token, note);
}

enum err client_secret_renew(const struct client_account *account, struct slice refused,
    struct buf *out_secret, struct err_note *note)
{
    (void)buf_room(out_secret, OAUTH_TOKEN_BYTES_MAX + 1);
    if (client_uses_oauth(account))
        return client_oauth_token(account, refused, out_secret, note);
    if (!account->token_command)
        return ERR_NOT_FOUND;
    TRY(client_secret_of_command(
        account->token_command, "token-command", OAUTH_TOKEN_BYTES_MAX, out_secret, note));
    return slice_eq(buf_slice(out_secret), refused) ? ERR_NOT_FOUND : ERR_OK;
}
