/* Answers of an IMAP server, read by a client (RFC 9051 §7, §9 "response"; RFC 3501 likewise).
 *
 * Pure: no I/O, no allocation but in the arena. The framer finds where an answer ends; the parser makes a tree of values of a whole one.
 * What a server sends is no more to be trusted than what a client sends: every size, count and depth has a limit. */
#ifndef PROTO_IMAP_REPLY_H
#define PROTO_IMAP_REPLY_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/slice.h"

/* ---- where an answer ends ---- */

enum imap_reply_frame {
    IMAP_REPLY_MORE, /* feed again when there is more */
    IMAP_REPLY_DONE, /* buf[0 .. seen) is one answer, or its last piece; consume it and call imap_reply_framer_init */
    IMAP_REPLY_BODY, /* buf[0 .. seen) ends with the header of a literal of f->literal bytes, which is a message or a part of one */
    IMAP_REPLY_BAD,  /* a bare LF or a NUL in a line: fatal */
    IMAP_REPLY_TOO_LONG, /* over IMAP_REPLY_BYTES_MAX, a message's literals not counted: fatal */
};

struct imap_reply_framer {
    size_t seen;           /* bytes examined */
    size_t line_start;     /* of the line that seen is in */
    uint64_t literal_left; /* bytes of a collected literal not yet seen */
    uint64_t literal;      /* size of the last literal */
    size_t earlier_bytes;  /* of the pieces before buf */
    bool plain;            /* it is text for people: a "{5}" at its end is no literal */
    bool resumed;
};

void imap_reply_framer_init(struct imap_reply_framer *f);
/* Examines buf from where the last call stopped; buf is borrowed, may have moved, must not have shrunk. */
enum imap_reply_frame MUST_USE imap_reply_feed(struct imap_reply_framer *f, struct slice buf);
/* After IMAP_REPLY_BODY, when the caller has consumed buf up to seen and the literal behind it. */
void imap_reply_resume(struct imap_reply_framer *f);
/* How many of the bytes up to seen are the literal's header, "{12}" CRLF: for a caller that puts something else there. */
size_t imap_reply_header_len(struct slice piece);

/* ---- what it says ---- */

enum imap_value_kind {
    IMAP_VALUE_ATOM,   /* also numbers, NIL, flags, "BODY[HEADER.FIELDS (DATE)]" */
    IMAP_VALUE_STRING, /* quoted or literal, decoded */
    IMAP_VALUE_LIST,
};

struct imap_value {
    enum imap_value_kind kind;
    struct slice text;              /* of the frame, or of the arena */
    const struct imap_value *first; /* of a list; NULL: empty */
    const struct imap_value *next;  /* NULL: the last */
};

enum imap_status {
    IMAP_STATUS_NONE, /* untagged data, or "+" */
    IMAP_STATUS_OK,
    IMAP_STATUS_NO,
    IMAP_STATUS_BAD,
    IMAP_STATUS_BYE,
    IMAP_STATUS_PREAUTH,
};

struct imap_reply {
    struct slice tag; /* "*", "+", or the command's */
    enum imap_status status;
    struct slice code;                    /* "UIDNEXT", "APPENDUID"; empty: none */
    const struct imap_value *code_values; /* what stands behind it */
    struct slice text;                    /* for people; of "+" all of it */
    bool numbered;                        /* "* 12 EXISTS" */
    uint32_t number;
    struct slice name; /* of data: "FETCH", "LIST", "VANISHED" */
    const struct imap_value *values;
};

/* ERR_SYNTAX; ERR_LIMIT over IMAP_REPLY_DEPTH_MAX or the arena's budget. */
enum err MUST_USE imap_reply_parse(
    struct arena *arena, struct slice frame, struct imap_reply *out_reply);

bool imap_value_is(
    const struct imap_value *value, struct slice word); /* an atom, case ignored; false for NULL */
/* Whether the atom is in the list; false when it is no list. */
bool imap_value_has(const struct imap_value *list, struct slice word);
/* What stands behind a name in a list of names and values, as in that of FETCH or STATUS; NULL: it is not there. */
const struct imap_value *imap_value_item(const struct imap_value *list, struct slice name);
bool imap_value_is_nil(const struct imap_value *value);
/* ERR_SYNTAX when it is no such number, or NULL. */
enum err MUST_USE imap_value_u64(const struct imap_value *value, uint64_t *out_number);
enum err MUST_USE imap_value_u32(const struct imap_value *value, uint32_t *out_number);
/* An atom that is not NIL, or a string. */
bool imap_value_is_text(const struct imap_value *value);

#endif
