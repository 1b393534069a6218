/* What the verbs of the command line share: options before the verb, texts, exit codes, the way to a running server. */
#ifndef BIN_CLI_H
#define BIN_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "bin/catalogue.h"
#include "server/core/config.h"

#include <sysexits.h>

struct cli {
    const char *config_file; /* -c FILE; NULL: /etc/barid/barid.conf when it exists, else the built-in values */
    bool json;               /* --json */
};

/* Loads the configuration; on failure the message has been printed: return EX_CONFIG. The reference is the caller's. */
enum err MUST_USE cli_config(const struct cli *cli, struct config **out_config);

/* One line on standard output / "barid: ..." on standard error, in the person's language. The arguments must fit the message. */
void cli_say(enum message_id id, ...);
void cli_put(enum message_id id, ...); /* without the line end */
void cli_error(enum message_id id, ...);
/* On standard error, without "barid: " and the line end: a line that is written over. */
void cli_progress(enum message_id id, ...);
/* A further line on standard error, without "barid: ". */
void cli_error_more(enum message_id id, ...);
/* Prints text that comes from elsewhere (an err_note) after "barid: ". */
void cli_error_text(const char *text);

/* Text of a stranger for a terminal: control characters, and those that turn the direction of writing, become "?". */
void cli_print_safe(struct slice text);
void cli_add_safe(struct buf *out, struct slice text);
char *cli_safe(struct slice text); /* owned by the caller */

/* A text as one word of a shell, for a command line that somebody copies: as it is where it has nothing but [A-Za-z0-9._@+-], else in single quotes. cli_word gives
 * out heap memory. */
void cli_add_word(struct buf *out, struct slice text);
char *cli_word(const char *text);

/* "2026-11-26 18:00", the time here; gives out back. */
const char *cli_time(int64_t at_s, char *out, size_t out_bytes);

/* Sends one line to the control socket of a running server and prints nothing. True when a server took it and answered "ok". */
bool cli_notify_server(const struct config *config, const char *line);
/* Sends one line and copies the answer to standard output. False when no server runs. *out_ok = its last line was "ok". */
bool cli_ask_server(const struct config *config, const char *line, bool *out_ok);

/* Exit code that fits an error kind. */
int cli_exit_code(enum err e);

#endif
