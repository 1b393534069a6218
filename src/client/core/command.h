/* Programs of the user's choice, started without a shell: where a password comes from, where a message goes. Blocking. */
#ifndef CLIENT_CORE_COMMAND_H
#define CLIENT_CORE_COMMAND_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

/* Runs words[0] (found in PATH) with nothing on its standard input; appends what it writes to its standard output. Its standard error is
 * ours. name is what notes call it.
 *
 * ERR_NOT_FOUND: there is no such program; ERR_IO: it ended with another code than 0, which note tells; ERR_TIMEOUT: it was ended;
 * ERR_LIMIT: it wrote more than bytes_max. */
enum err MUST_USE client_command_read(char *const *words, const char *name, int timeout_ms,
    size_t bytes_max, struct buf *out, struct err_note *note);

/* Runs words[0] with what is read from input_fd (from its place on) as its standard input, and nothing else; it is ended after timeout_ms. *out_code is its
 * exit code, 128 and more after a signal. ERR_NOT_FOUND, ERR_TIMEOUT, ERR_IO: it could not be run. */
enum err MUST_USE client_command_feed(char *const *words, const char *name, int timeout_ms,
    int input_fd, int *out_code, struct err_note *note);

/* Starts words[0] and does not wait for it: without our input and output, and not ended by the keys that end us. */
enum err MUST_USE client_command_launch(
    char *const *words, const char *name, struct err_note *note);

#endif
