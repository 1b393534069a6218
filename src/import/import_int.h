/* Private to import/: what the formats share. */
#ifndef IMPORT_IMPORT_INT_H
#define IMPORT_IMPORT_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "import/import.h"

#include <sodium.h>

struct importing {
    const struct import_options *options;
    const struct import_sink *sink;
    struct import_result *result;
    struct arena arena; /* of the whole run */
    struct map seen;    /* what a message is -> how often it came, plus one */
};

/* The bytes of one message on their way: lines end with CRLF, a NUL (which no mail protocol carries) is left out. */
struct import_body {
    struct importing *import;
    struct blob *blob; /* owned; NULL when only counting */
    crypto_hash_sha256_state hash;
    struct buf room;
    bool after_cr;
    bool failed; /* to be read: that is the message's trouble, and nobody else's */
    enum import_trouble trouble;
};
/* To be released also after an error. */
enum err MUST_USE import_body_begin(struct importing *import, struct import_body *body);
enum err MUST_USE import_body_write(struct import_body *body, struct slice bytes);
/* Gives the message its id and hands it on; filed_s: when it came into the mailbox there. */
enum err MUST_USE import_body_end(
    struct import_body *body, struct import_item *item, int64_t filed_s);
void import_body_done(struct import_body *body);

/* Leaves out, and counts, what can be none. */
struct slice import_uidl_checked(struct importing *import, struct slice uidl);
/* Reads a file from where it stands. What is wrong with the file is the body's trouble. */
enum err MUST_USE import_body_file(struct import_body *body, int fd);
/* A failure that is the message's alone is told, and becomes ERR_OK: the rest goes on. */
enum err MUST_USE import_body_verdict(
    const struct import_body *body, const char *path, enum err e);
/* Ends the reading: gives e back. */
enum err import_problem(
    struct importing *import, enum err e, enum import_problem problem, const char *path);
void import_tell(struct importing *import, const char *path, enum import_trouble what);

enum err MUST_USE import_maildir(struct importing *import);
enum err MUST_USE import_cyrus(struct importing *import);
enum err MUST_USE import_mbox_file(struct importing *import, enum import_format format);

#endif
