/* The control socket: DATA/control.sock, mode 0600, one text line in, an answer, "ok" or "failed: ..." at its end.
 *
 *     status | status-json | reload | user-changed ID | user-removed ID | device-revoked ID DEVICE | write-devices | expire | fsck ID check|repair | rebuild ID
 *     mailbox-facts ID                           its numbers, as facts.h has the lines, after what devices did is written; makes no account
 *     expire                                     what is due by after=DAYS of POP3 policies goes now; "removed N"
 *     hold ID                                    the account stands still until the asker closes the connection (control_hold)
 *     restore ID FOLDER FROM-ID replace          a copy below the data folder takes the account's place
 *     restore ID FOLDER FROM-ID add UID MAILBOX  what is missing is added; UID 0, no MAILBOX: all
 *
 * One thread, one request at a time; for the administrator on this machine only (the socket's mode is the guard). */
#ifndef SERVER_CORE_CONTROL_H
#define SERVER_CORE_CONTROL_H

#include "server/core/server.h"

struct control;

/* Binds the socket. A live server on it: ERR_BUSY with a note. */
enum err MUST_USE control_new(struct server *server, const char *data_dir, struct control **out_control, struct err_note *note);
enum err MUST_USE control_start(struct control *control);
/* Ends the thread and removes the socket. */
void control_free(struct control *control);

/* The client's side: sends line and passes the answer's lines to `tell` (may be NULL) as they come. ERR_NOT_FOUND when no server listens;
 * *out_ok whether the last line was "ok". */
typedef void control_line_fn(void *tell_arg, struct slice line);
enum err MUST_USE control_ask(const char *data_dir, const char *line, control_line_fn *tell, void *tell_arg, bool *out_ok);
/* Asks for an account to be held: *out_fd is to be closed when its files are copied, -1 when the server refused (the last line says why). */
enum err MUST_USE control_hold(const char *data_dir, const char *id, control_line_fn *tell, void *tell_arg, int *out_fd);

#endif
