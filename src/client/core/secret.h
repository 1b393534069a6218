/* Secrets out of files and programs. Private to client/core; for accounts see account.h. */
#ifndef CLIENT_CORE_SECRET_H
#define CLIENT_CORE_SECRET_H

#include "base/buf.h"

/* Appends the first line of what the program prints (client_command_read), at most bytes_max. name is what notes call it. */
enum err MUST_USE client_secret_of_command(
    char *const *words, const char *name, size_t bytes_max, struct buf *out, struct err_note *note);
/* Appends the first line of the file. ERR_DENIED unless only its owner can read it. */
enum err MUST_USE client_secret_of_file(const char *path, struct buf *out, struct err_note *note);

#endif
