/* One header section sorted by what the summary needs of it. Private to message/. */
#ifndef MESSAGE_HEAD_H
#define MESSAGE_HEAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* Single values: the last field of a name counts, as Dovecot and Cyrus have it; of several Content-Types the first that can be read, as
 * Dovecot has it. */
enum head_text {
    HEAD_DATE,
    HEAD_SUBJECT,
    HEAD_IN_REPLY_TO,
    HEAD_MESSAGE_ID,
    HEAD_CONTENT_TYPE,
    HEAD_ENCODING,
    HEAD_ID,
    HEAD_DESCRIPTION,
    HEAD_DISPOSITION,
    HEAD_LANGUAGE,
    HEAD_LOCATION,
    HEAD_MD5,
    HEAD_TEXTS,
};

/* Address lists: several fields of a name are one list. In the order of ENVELOPE. */
enum head_list {
    HEAD_FROM,
    HEAD_SENDER,
    HEAD_REPLY_TO,
    HEAD_TO,
    HEAD_CC,
    HEAD_BCC,
    HEAD_LISTS,
};

struct head_values {
    struct slice *at;
    size_t count, cap;
};

struct head {
    struct slice texts[HEAD_TEXTS]; /* raw; ptr NULL when absent */
    struct head_values lists[HEAD_LISTS];
};

/* Borrows from header. kept (may be NULL) gets the fields that head_keeps names, as they stand. ERR_LIMIT over the arena. */
enum err MUST_USE head_parse(
    struct arena *arena, struct slice header, struct buf *kept, struct head *out_head);

/* Whether fields of that name are kept in the summary. */
bool head_keeps(struct slice name);

#endif
