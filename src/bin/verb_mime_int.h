/* What the forms of `barid mime` share: a message read from a file, and its parts with the numbers that IMAP gives them. Private to the verb, but for the walk and names of parts. */
#ifndef BIN_VERB_MIME_INT_H
#define BIN_VERB_MIME_INT_H

#include "base/limits.h"
#include "message/summary.h"
#include "message/text.h"

struct mime_file {
    struct buf bytes;         /* of the message, as they are in the file */
    struct buf summary_bytes; /* what summary borrows from */
    struct msg_summary summary;
};

/* Reads a file ("-": standard input) and takes it apart. An exit code; when it is not EX_OK the reason has been printed. mime_file_done in
 * any case. canonical: as the message would come by IMAP, with CRLF line ends and without NUL. */
int mime_file_open(struct mime_file *file, const char *path, bool canonical);
void mime_file_done(struct mime_file *file);

#define MIME_NUMBER_BYTES ((MIME_DEPTH_MAX + 1) * 6)

/* Walks the parts in depth-first order. */
struct mime_walk {
    size_t cursor;
    char number[MIME_NUMBER_BYTES]; /* of the part last given, "2.1" (RFC 3501 §6.4.5); "" when it has none of its own */
    struct {
        char prefix[MIME_NUMBER_BYTES]; /* of its children */
        uint32_t children;
        bool is_multipart;
    } levels[MIME_DEPTH_MAX + 1];
};

bool mime_walk_next(struct mime_walk *walk, const struct msg_summary *summary, struct msg_part *out_part);

/* Whether a person would look for the part among the attachments. */
bool mime_is_attachment(const struct msg_part *part);

/* Appends a name for a new file of the part: its own made safe, else one of its number and kind. */
void mime_propose_name(const struct msg_part *part, const char *number, struct buf *out);

#define MIME_SAME_NAME_MAX 1000
/* Appends the i-th name to be tried for a file, from 1: "name.txt", "name (2).txt"; NUL-terminated. */
void mime_name_again(struct slice name, int i, struct buf *out);

/* The forms. Exit codes. */
int mime_show_tree(const char *path);
int mime_show_json(const char *path);
/* Saves parts as new files in folder: those named by number, or with count 0 all attachments. */
int mime_extract(const char *path, const char *folder, char **numbers, int count);

#endif
