/* What other POP3 servers remember of a Maildir: which UID each message has, and by which name (UIDL) programs know it.
 *
 * Pure: lines in, records out; slices borrow from the line. Strict: a line that does not fit is ERR_SYNTAX, never a guess. */
#ifndef IMPORT_UIDS_H
#define IMPORT_UIDS_H

#include "base/buf.h"
#include "base/slice.h"

struct import_uid {
    struct slice name; /* of the file, up to its flags (import_base_name) */
    uint32_t uid;      /* 0: none */
    uint32_t uidvalidity;
    struct slice uidl; /* the server wrote down the very UIDL; empty: it follows from the rest */
    struct slice guid; /* empty: the server takes the name for it */
};

/* The name of a file without what may change of it: up to the ':'. */
struct slice import_base_name(struct slice name);

/* The first line of Dovecot's dovecot-uidlist, versions 1 and 3. out_version is for the records. */
enum err MUST_USE import_dovecot_head(
    struct slice line, unsigned *out_version, uint32_t *out_uidvalidity);
enum err MUST_USE import_dovecot_record(
    struct slice line, unsigned version, uint32_t uidvalidity, struct import_uid *out_uid);

/* The first line of Courier's courierpop3dsizelist, versions 2 and 3. */
enum err MUST_USE import_courier_head(struct slice line);
enum err MUST_USE import_courier_record(struct slice line, struct import_uid *out_uid);
/* How Courier calls it: "UID1-1234567890", "UID1", or by its name when uid is 0. */
void import_courier_uidl(const struct import_uid *uid, struct buf *out);

/* Dovecot's pop3_uidl_format: %u UID, %v UIDVALIDITY, %f file name, %g guid, with a width (0 before it: the least, else the most
 * that is written) and X (hexadecimal) before the letter; %% is a
 * percent sign. False for anything else. */
#define IMPORT_DOVECOT_FORMAT "%08Xu%08Xv"
bool import_format_ok(struct slice format);
/* format is ok. */
void import_format_write(struct slice format, const struct import_uid *uid, struct buf *out);

#endif
