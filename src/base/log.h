/* logfmt: one event a line, on standard error (systemd and a file both take that).
 *
 *     log_info("smtp.rcpt", "conn=%llu to=%s code=%d", id, LOG_S(address), 250);
 *
 * gives  `2026-11-25T04:45:01.123Z info smtp.rcpt conn=7 to=omar@barid.test code=250`.
 * Peer bytes go through LOG_S, which escapes and cuts them. Secrets are never passed here. Only sessions, queue and
 * bin log (CODE §10). Thread-safe: a line is one write(2). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/slice.h"

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG,
};

/* Lines above this level are dropped; LOG_WARN before the first call. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/* Where lines go; 2 (standard error) at the start. The descriptor stays the caller's. */
void log_set_fd(int fd);

void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF(3, 4);

#define log_error(event, ...) log_event(LOG_ERROR, (event), __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, (event), __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, (event), __VA_ARGS__)
#define log_debug(event, ...)                                                                      \
    do {                                                                                           \
        if (log_wants(LOG_DEBUG))                                                                  \
            log_event(LOG_DEBUG, (event), __VA_ARGS__);                                            \
    } while (0)

#define LOG_VALUE_BYTES_MAX 160

struct log_value {
    char text[LOG_VALUE_BYTES_MAX + 8];
};

/* Escaped (controls, quotes, blanks, bytes that are no UTF-8 as \xNN), cut with "..." when long; quoted when it has to be. */
struct log_value log_escape(struct slice s);
/* Lives until the end of the full expression it stands in. */
#define LOG_S(s) (log_escape(s).text)

#endif
