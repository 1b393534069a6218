/* The parts of a message inside a summary, and the layout of the summary itself. Private to message/.
 *
 *     0  u8   version (MSG_SUMMARY_VERSION)
 *     1  u8   flags (SUMMARY_*)
 *     2  u16  0
 *     4  u32  length of the whole summary
 *     8  u32  number of nodes
 *    12  u32  place of the nodes, 16 of ENVELOPE, 20 of the kept fields, 24 of the facts, 28 of the preview
 *    32  sections in this order, each up to the next
 *
 * Integers are little-endian; in nodes they are LEB128. A node: length of the rest, kind, depth, header offset, header length,
 * body offset, body length, body lines, flags, then NODE_STRINGS strings (length, bytes). Nodes stand in depth-first order; a child's depth is
 * its parent's plus one; node 0 is the message. */
#ifndef MESSAGE_NODE_H
#define MESSAGE_NODE_H

#include "base/buf.h"
#include "base/slice.h"

enum {
    SUMMARY_HEAD_BYTES = 32,
    SUMMARY_TEXTS = 7,        /* of the facts, in the order of struct msg_facts */
    SUMMARY_FACTS_TEXTS = 20, /* after date u64, zone u32, size of the surrogate u64 */
    SUMMARY_FACTS_BYTES =
        SUMMARY_FACTS_TEXTS + SUMMARY_TEXTS * 8, /* place and length of each text */
    SUMMARY_FIELDS_WHOLE = 1,                    /* every kept field is there */
    SUMMARY_HAS_ATTACHMENT = 2,
    SUMMARY_IS_REPLY = 4,
    SUMMARY_NEEDS_UTF8 = 128, /* the highest: store/sql.c looks for it */
};

enum node_kind {
    NODE_LEAF,
    NODE_TEXT, /* a leaf whose lines are counted */
    NODE_MULTIPART,
    NODE_MESSAGE, /* message/rfc822; its only child is the message in it */
    NODE_KINDS,
};

/* The first six are for programs; the others are IMAP forms, "" standing for NIL. */
enum node_string {
    NODE_TYPE,
    NODE_SUBTYPE,
    NODE_ENCODING,
    NODE_CHARSET,
    NODE_FILENAME,
    NODE_DISPOSITION,
    NODE_PARAMS,
    NODE_ID,
    NODE_DESCRIPTION,
    NODE_DISPOSITION_FORM,
    NODE_LANGUAGE,
    NODE_LOCATION,
    NODE_MD5,
    NODE_ENVELOPE, /* of the child of a NODE_MESSAGE; the message's own has its section */
    NODE_STRINGS,
};

enum node_flag {
    NODE_FLOWED = 1, /* text/plain of format=flowed (RFC 3676) */
    NODE_DEL_SP = 2, /* with DelSp=yes */
};

struct node {
    enum node_kind kind;
    uint32_t flags; /* enum node_flag */
    uint32_t depth;
    uint64_t header_offset, header_len;
    uint64_t body_offset, body_len;
    uint64_t body_lines;
    struct slice strings[NODE_STRINGS];
};

/* strings: the node's strings already in written form. */
void node_write(struct buf *out, const struct node *node, struct slice strings);
void node_write_string(struct buf *out, struct slice string);
/* Takes the next node off *nodes; strings borrow from it. False, and anything in *out_node, at the end or when the bytes are no node. */
bool node_next(struct slice *nodes, struct node *out_node);

#endif
