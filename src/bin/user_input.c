/* Passwords are read byte by byte from the descriptor or with a stdio buffer of our own, and every place they were in is wiped. */
#include "bin/user_input.h"

#include "base/limits.h"
#include "bin/cli.h"
#include "proto/sasl/sasl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* ---- sizes and switches ---- */

enum err user_parse_size(struct slice text, uint64_t *out_bytes)
{
    if (slice_eq_nocase(text, SLICE("none"))) {
        *out_bytes = 0;
        return ERR_OK;
    }
    return slice_to_size(text, INT64_MAX, out_bytes);
}

static enum err parse_on_off(struct user_switches *switches, enum user_service service,
    const char *option, struct slice value)
{
    bool on = slice_eq_nocase(value, SLICE("on"));
    if (!on && !slice_eq_nocase(value, SLICE("off"))) {
        cli_error(MSG_SWITCH_BAD, option);
        return ERR_SYNTAX;
    }
    unsigned bit = service;
    switches->services_on = on ? switches->services_on | bit : switches->services_on & ~bit;
    switches->services_off = on ? switches->services_off & ~bit : switches->services_off | bit;
    return ERR_OK;
}

static enum err parse_quota(
    const char *option, struct slice value, bool messages, uint64_t *out, bool *out_has)
{
    enum err e;
    if (messages && !slice_eq_nocase(value, SLICE("none")))
        e = slice_to_u64(value, INT64_MAX, out);
    else
        e = user_parse_size(value, out);
    if (e)
        cli_error(messages ? MSG_NUMBER_BAD : MSG_SIZE_BAD, option);
    *out_has = !e;
    return e;
}

enum err user_parse_switch(int argc, char **argv, int *at, struct user_switches *switches)
{
    static const struct {
        const char *name;
        enum user_service service;
    } services[] = { { "--imap", USER_IMAP }, { "--pop", USER_POP3 }, { "--pop3", USER_POP3 },
        { "--submission", USER_SUBMISSION } };
    const char *option = argv[(*at)++];
    if (strcmp(option, "--yes") == 0) {
        switches->yes = true;
        return ERR_OK;
    }
    bool service = false;
    unsigned which = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(option, services[i].name) == 0) {
            service = true;
            which = i;
        }
    }
    bool bytes = strcmp(option, "--quota") == 0, messages = strcmp(option, "--quota-messages") == 0;
    if (!service && !bytes && !messages && strcmp(option, "--password-file") != 0) {
        cli_error(MSG_UNKNOWN_OPTION, option);
        return ERR_SYNTAX;
    }
    if (*at >= argc) {
        cli_error(MSG_OPTION_NEEDS_VALUE, option);
        return ERR_SYNTAX;
    }
    const char *value = argv[(*at)++];
    if (service)
        return parse_on_off(switches, services[which].service, option, slice_of(value));
    if (bytes)
        return parse_quota(
            option, slice_of(value), false, &switches->quota_bytes, &switches->has_bytes);
    if (messages)
        return parse_quota(
            option, slice_of(value), true, &switches->quota_messages, &switches->has_messages);
    switches->password_file = value;
    return ERR_OK;
}

void user_apply_switches(const struct user_switches *switches, unsigned *services,
    uint64_t *quota_bytes, uint64_t *quota_messages)
{
    *services = (*services | switches->services_on) & ~switches->services_off;
    if (switches->has_bytes)
        *quota_bytes = switches->quota_bytes;
    if (switches->has_messages)
        *quota_messages = switches->quota_messages;
}

/* ---- passwords ---- */

enum err password_source_open(struct password_source *source, const char *file)
{
    bool input = file ? strcmp(file, "-") == 0 : !isatty(STDIN_FILENO);
    *source = (struct password_source){ .name = input ? "-" : file };
    if (input)
        source->file = stdin;
    else if (file)
        source->file = fopen(file, "rce");
    if (file && !source->file) {
        cli_error(MSG_FILE_FAILED, file, strerror(errno));
        return err_from_errno(errno);
    }
    /* the buffer of stdio would keep the passwords after us */
    if (source->file)
        setvbuf(source->file, NULL, _IONBF, 0);
    return ERR_OK;
}

void password_source_close(struct password_source *source)
{
    if (source->file && source->file != stdin)
        fclose(source->file);
    source->file = NULL;
}

static volatile sig_atomic_t got_signal;

static void note_signal(int number)
{
    got_signal = number;
}

#define LINE_CAP (PASSWORD_BYTES_MAX + 2)

/* A line without its end. ERR_NOT_FOUND: nothing more. A line that is too long is read to its end. */
static enum err read_line(FILE *file, struct buf *out)
{
    char *room = buf_room(out, LINE_CAP);
    size_t len = 0;
    bool too_long = false;
    int c;
    while ((c = getc(file)) != EOF && c != '\n') {
        if (len < LINE_CAP)
            room[len++] = (char)c;
        else
            too_long = true;
    }
    if (c == EOF && len == 0)
        return ERR_NOT_FOUND;
    if (len > 0 && room[len - 1] == '\r')
        len--;
    if (len >= 3 && memcmp(room, "\xef\xbb\xbf", 3) == 0) /* some editors begin UTF-8 with it */
        memmove(room, room + 3, len -= 3);
    buf_wrote(out, len);
    return too_long || len > PASSWORD_BYTES_MAX ? ERR_LIMIT : ERR_OK;
}

/* One line from the terminal without echo. A signal puts the terminal back before it does what it always does. */
static enum err ask_once(FILE *tty, const char *prompt, struct buf *out)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
    enum {
        SIGNALS = sizeof signals / sizeof *signals
    };
    struct sigaction note = { .sa_handler = note_signal }, old[SIGNALS];
    struct termios before, silent;
    int fd = fileno(tty);
    if (tcgetattr(fd, &before) != 0)
        return err_from_errno(errno);
    got_signal = 0;
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &note, &old[i]);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    tcsetattr(fd, TCSAFLUSH, &silent);
    fputs(prompt, tty);
    fflush(tty);
    enum err e = read_line(tty, out);
    fputc('\n', tty);
    tcsetattr(fd, TCSAFLUSH, &before);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &old[i], NULL);
    if (got_signal) {
        raise(got_signal);
        return ERR_CANCELED;
    }
    return e;
}

static enum err ask(const char *address, struct buf *out)
{
    char prompt[USER_NAME_BYTES_MAX + 128];
    FILE *tty = fopen("/dev/tty", "r+ce");
    if (!tty) {
        cli_error(MSG_FILE_FAILED, "/dev/tty", strerror(errno));
        return ERR_IO;
    }
    setvbuf(tty, NULL, _IONBF, 0);
    snprintf(prompt, sizeof prompt, "%s %s: ", tr(MSG_PASSWORD_PROMPT), address);
    struct buf again;
    buf_init(&again, 0);
    enum err e = ask_once(tty, prompt, out);
    if (!e)
        e = ask_once(tty, tr(MSG_PASSWORD_AGAIN), &again);
    if (!e && !slice_eq(buf_slice(out), buf_slice(&again))) {
        cli_error(MSG_PASSWORD_DIFFERENT);
        e = ERR_DENIED; /* said already */
    }
    sasl_buf_wipe(&again);
    fclose(tty);
    return e;
}

enum err password_source_next(struct password_source *source, const char *address, struct buf *out)
{
    struct buf form;
    buf_init(out, 0);
    enum err e = source->file ? read_line(source->file, out) : ask(address, out);
    if (e == ERR_NOT_FOUND) {
        cli_error(MSG_PASSWORD_MISSING, address);
        return e;
    }
    if (e == ERR_DENIED)
        return e;
    if (!e) {
        buf_init(&form, 0);
        (void)buf_room(&form, buf_len(out) * 3 + 1);
        e = sasl_opaque_string(buf_slice(out), &form);
        sasl_buf_wipe(&form);
    }
    if (e)
        cli_error(buf_len(out) == 0 ? MSG_PASSWORD_EMPTY : MSG_PASSWORD_BAD, address);
    return e;
}

/* ---- lists ---- */

/* "{SCHEME}" at the front. */
static size_t scheme_len(struct slice s)
{
    if (s.len == 0 || s.ptr[0] != '{')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '}')
            return i > 1 ? i + 1 : 0;
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
            return 0;
    }
    return 0;
}

/* "$6$salt$..." as crypt(3) writes it and shadow files hold it: nobody's password looks like this, and a hash must never become one. */
static bool is_crypt(struct slice s)
{
    if (s.len < 20 || s.ptr[0] != '$')
        return false;
    size_t dollars = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        dollars += c == '$';
        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            c != '$' && c != '.' && c != '/' && c != '=' && c != ',' && c != '+' && c != '-')
            return false;
    }
    return dollars >= 2 && slice_index(slice_from_index(s, 1), '$') <= 8;
}

enum user_line_kind user_parse_line(struct slice line, struct user_line *out_line)
{
    struct user_line user = { SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY };
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    struct slice trimmed = slice_trim(line);
    if (trimmed.len == 0 || trimmed.ptr[0] == '#')
        return USER_LINE_NOTHING;
    size_t at = 0;
    while (at < line.len && line.ptr[at] != ':' && (line.ptr[at] != '\t' || at == 0))
        at++;
    if (at == line.len)
        return USER_LINE_BAD;
    user.address = slice_trim(slice_sub(line, 0, at));
    struct slice secret = slice_from_index(line, at + 1);
    while (line.ptr[at] == '\t' && secret.len > 0 && secret.ptr[0] == '\t')
        secret = slice_from_index(secret, 1);
    size_t scheme = scheme_len(secret);
    struct slice name = slice_sub(secret, 0, scheme);
    struct slice first = slice_trim(slice_sub(secret, 0, slice_index(secret, ':')));
    if (is_crypt(first))
        user.hash = first;
    else if (scheme == 0)
        user.password = secret;
    else if (slice_eq(name, SLICE("{PLAIN}")) || slice_eq(name, SLICE("{CLEARTEXT}")))
        user.password = slice_from_index(secret, scheme);
    else
        user.hash = first;
    if (user.address.len == 0 || user.password.len + user.hash.len == 0)
        return USER_LINE_BAD;
    *out_line = user;
    return USER_LINE_USER;
}
