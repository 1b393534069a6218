/* What the verbs share. */
#include "bin/cli.h"

#include "base/arena.h"
#include "server/core/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_FILE_DEFAULT "/etc/barid/barid.conf"

enum err cli_config(const struct cli *cli, struct config **out_config)
{
    struct err_note note = { "" };
    const char *file = cli->config_file;
    if (!file && access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        file = CONFIG_FILE_DEFAULT;
    enum err e = config_load(file, out_config, &note);
    if (e != ERR_OK)
        cli_error_text(note.text);
    return e;
}

/* The formats come from the catalogue, whose test compares both languages. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

void cli_say(enum message_id id, ...)
{
    va_list args;
    va_start(args, id);
    (void)vprintf(tr(id), args);
    va_end(args);
    (void)putchar('\n');
}

void cli_put(enum message_id id, ...)
{
    va_list args;
    va_start(args, id);
    (void)vprintf(tr(id), args);
    va_end(args);
}

void cli_error(enum message_id id, ...)
{
    va_list args;
    (void)fflush(stdout);
    (void)fputs("barid: ", stderr);
    va_start(args, id);
    (void)vfprintf(stderr, tr(id), args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void cli_progress(enum message_id id, ...)
{
    va_list args;
    va_start(args, id);
    (void)vfprintf(stderr, tr(id), args);
    va_end(args);
}

void cli_error_more(enum message_id id, ...)
{
    va_list args;
    va_start(args, id);
    (void)vfprintf(stderr, tr(id), args);
    va_end(args);
    (void)fputc('\n', stderr);
}

#pragma GCC diagnostic pop

void cli_error_text(const char *text)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "barid: %s\n", text);
}

const char *cli_time(int64_t at_s, char *out, size_t out_bytes)
{
    time_t when = (time_t)at_s;
    struct tm tm;
    if (!localtime_r(&when, &tm) || strftime(out, out_bytes, "%Y-%m-%d %H:%M", &tm) == 0)
        out[0] = '\0';
    return out;
}

bool cli_notify_server(const struct config *config, const char *line)
{
    bool ok = false;
    return control_ask(config->data_dir, line, NULL, NULL, &ok) == ERR_OK && ok;
}

static void print_line(void *tell_arg, struct slice line)
{
    (void)tell_arg;
    (void)printf("%.*s\n", SLICE_FMT(line));
}

bool cli_ask_server(const struct config *config, const char *line, bool *out_ok)
{
    return control_ask(config->data_dir, line, print_line, NULL, out_ok) == ERR_OK;
}

int cli_exit_code(enum err e)
{
    switch (e) {
    case ERR_OK:
        return EX_OK;
    case ERR_SYNTAX:
    case ERR_LIMIT:
        return EX_DATAERR;
    case ERR_NOT_FOUND:
        return EX_NOUSER;
    case ERR_EXISTS:
        return EX_CANTCREAT;
    case ERR_DENIED:
    case ERR_AUTH:
        return EX_NOPERM;
    case ERR_BUSY:
    case ERR_TIMEOUT:
        return EX_TEMPFAIL;
    case ERR_NO_SPACE:
    case ERR_IO:
        return EX_IOERR;
    default:
        return EX_SOFTWARE;
    }
}

void cli_add_safe(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        unsigned char next = i + 1 < text.len ? slice_at(text, i + 1) : 0;
        unsigned char third = i + 2 < text.len ? slice_at(text, i + 2) : 0;
        bool c1 = c == 0xc2 && next < 0xa0;
        bool turns = c == 0xe2 && ((next == 0x80 && third >= 0xa8 && third <= 0xae) ||
                                      (next == 0x81 && third >= 0xa0 && third <= 0xaf));
        buf_addc(out, c < ' ' || c == 127 || c1 || turns ? '?' : (char)c);
        i += turns ? 2 : c1 ? 1 : 0;
    }
}

char *cli_safe(struct slice text)
{
    struct buf out;
    buf_init(&out, 0);
    cli_add_safe(&out, text);
    char *copy = mem_strndup(buf_slice(&out).ptr, buf_len(&out));
    buf_done(&out);
    return copy;
}

static bool is_plain_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        char lower = ascii_lower((char)c);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
            !(c && strchr("._@+-", c)))
            return false;
    }
    return text.len > 0;
}

void cli_add_word(struct buf *out, struct slice text)
{
    if (is_plain_word(text)) {
        buf_add(out, text);
        return;
    }
    buf_addc(out, '\'');
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, text.ptr[i]);
    buf_addc(out, '\'');
}

char *cli_word(const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    cli_add_word(&out, slice_of(text));
    char *word = mem_strndup(buf_slice(&out).ptr, buf_len(&out));
    buf_done(&out);
    return word;
}

void cli_print_safe(struct slice text)
{
    struct buf out;
    buf_init(&out, 0);
    cli_add_safe(&out, text);
    (void)fwrite(buf_slice(&out).ptr, 1, buf_len(&out), stdout);
    buf_done(&out);
}
