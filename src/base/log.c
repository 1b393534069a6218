/* The log sink: the one piece of global mutable state (CODE §4). */
#include "base/log.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int current_level = LOG_WARN;
static _Atomic int sink_fd = 2;

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store(&sink_fd, fd);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    if (!log_wants(level))
        return;
    char line[2048];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ %s %s ", now.tv_nsec / 1000000,
            names[level], event);
    va_list args;
    va_start(args, format);
    int wrote = vsnprintf(line + len, sizeof line - len - 1, format, args);
    va_end(args);
    if (wrote > 0)
        len += (size_t)wrote < sizeof line - len - 1 ? (size_t)wrote : sizeof line - len - 2;
    line[len++] = '\n';
    ssize_t ignored = write(atomic_load(&sink_fd), line, len);
    (void)ignored; /* a log that cannot be written has nowhere to say so */
}

struct log_value log_escape(struct slice s)
{
    struct log_value v;
    size_t len = 0;
    bool quote = s.len == 0;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == ' ' || s.ptr[i] == '"' || s.ptr[i] == '=')
            quote = true;
    if (quote)
        v.text[len++] = '"';
    for (size_t i = 0; i < s.len;) {
        uint32_t c = 0;
        size_t step = utf8_decode(s, i, &c);
        if (len > LOG_VALUE_BYTES_MAX - 8) {
            memcpy(v.text + len, "...", 3);
            len += 3;
            break;
        }
        /* controls of both sets and the marks that reorder text never reach a terminal */
        bool plain = step > 0 && c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0) && c != '"' &&
                     c != '\\' && !(c >= 0x200E && c <= 0x200F) && !(c >= 0x2028 && c <= 0x202E) &&
                     !(c >= 0x2066 && c <= 0x2069);
        if (plain) {
            memcpy(v.text + len, s.ptr + i, step);
            len += step;
            i += step;
        } else {
            len += (size_t)snprintf(v.text + len, 5, "\\x%02x", slice_at(s, i));
            i++;
        }
    }
    if (quote)
        v.text[len++] = '"';
    v.text[len] = 0;
    return v;
}
