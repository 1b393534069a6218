/* File names that a message proposes, made safe to create. */
#ifndef MESSAGE_FILENAME_H
#define MESSAGE_FILENAME_H

#include "base/buf.h"
#include "base/slice.h"

/* Appends a name for a new file in one folder, of at most FILENAME_BYTES_MAX bytes of UTF-8, that means the same everywhere: no path, nothing invisible
 * or that turns the direction of writing, no wildcard, quote or variable of a shell, no device of Windows. Appends nothing when
 * nothing is left. name: UTF-8, as msg_part gives it. */
void msg_safe_filename(struct slice name, struct buf *out);

#endif
