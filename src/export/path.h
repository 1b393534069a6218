/* Where a folder of a server goes in an export: a path below the folder that a person named. Pure.
 *
 *     Work/2026       Work/2026            Work/2026.mbox
 *     INBOX           (the top itself)     INBOX.mbox
 *     ../.hidden      %2E./%2Ehidden       %2E./%2Ehidden.mbox
 *
 * Any name has a path, two names never have the same one, and none leaves the tree. Letters of every script stay as they are; what cannot stand in a file name, would
 * hide a file or turn the line that it is shown in is "%XX". A level that is too long is cut and ends with "%~" and a hash of the whole. */
#ifndef EXPORT_PATH_H
#define EXPORT_PATH_H

#include "base/buf.h"
#include "base/err.h"

enum export_format {
    EXPORT_MAILDIR,
    EXPORT_MBOX,
};

#define EXPORT_LEVEL_BYTES_MAX                                                                     \
    200u /* of a file name's 255: room for ".mbox", and for names of ours beside it */
#define EXPORT_LEVELS_MAX 32u /* what is deeper is one more level, its delimiters escaped */

/* name: UTF-8, or raw as the server writes it, when that is no modified UTF-7. delimiter 0: the server knows no folders in folders. Appends; "" for INBOX in a
 * Maildir. */
void export_path(
    struct slice name, bool raw, char delimiter, enum export_format format, struct buf *out_path);

#endif
