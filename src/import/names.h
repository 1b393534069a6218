/* Names in a Maildir: of folders, and of files, which say when a message came and what its flags are. Pure. */
#ifndef IMPORT_NAMES_H
#define IMPORT_NAMES_H

#include "base/buf.h"

/* Appends what a folder is called: levels are parted by separator there ('.' in Maildir++, without the first one) and by '/' here, and are in modified UTF-7
 * or UTF-8. Bytes that are neither become '?'; empty levels go. */
void import_folder_name(struct slice name, char separator, struct buf *out);

/* The same in what `barid export` wrote: levels are parted by '/' and in UTF-8, and "%XX" is a byte that could not stand in a file name, "%&" an ampersand. */
void import_exported_name(struct slice name, struct buf *out);

/* Seconds since 1970 that the name of a file begins with; 0: it begins with none. */
int64_t import_name_time(struct slice name);

/* What stands behind ":2,": system flags (enum store_flag), and of letters a to z one bit each. */
struct import_name_flags {
    unsigned system;
    bool forwarded; /* P: resent, forwarded or bounced */
    uint32_t letters;
};
struct import_name_flags import_name_flags(struct slice name);

/* A line of Dovecot's dovecot-keywords: "0 name" is letter a. ERR_SYNTAX. */
enum err MUST_USE import_keyword_line(
    struct slice line, unsigned *out_letter, struct slice *out_name);

#endif
