/* The grammar of IMAP commands (RFC 3501 §9 and the extensions Barid speaks): one complete frame in, structs out.
 *
 * Pure: no I/O, no allocation but in the arena. Results are slices into the frame or the arena. ERR_SYNTAX when the bytes are no such
 * command (p->at is where), ERR_LIMIT over a named limit or the arena. Use: imap_parse_init, imap_parse_command, then the
 * function of the command, which also checks that nothing follows. */
#ifndef PROTO_IMAP_PARSE_H
#define PROTO_IMAP_PARSE_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/slice.h"
#include "message/sort.h"

struct imap_parse {
    const char *at, *end; /* borrowed */
    struct arena *arena;  /* borrowed */
    unsigned depth;
};

void imap_parse_init(struct imap_parse *p, struct slice frame, struct arena *arena);
/* tag SP name; with "UID" also the word behind it. The name is as sent. Tag and name are atoms of the frame. */
enum err MUST_USE imap_parse_command(
    struct imap_parse *p, struct slice *out_tag, struct slice *out_name, bool *out_uid);
/* Commands without arguments. */
enum err MUST_USE imap_parse_nothing(struct imap_parse *p);
/* SP astring, and nothing more: DELETE, SUBSCRIBE, ... */
enum err MUST_USE imap_parse_one(struct imap_parse *p, struct slice *out_a);
/* SP astring SP astring: LOGIN, RENAME. */
enum err MUST_USE imap_parse_two(struct imap_parse *p, struct slice *out_a, struct slice *out_b);

/* ---- sequence sets ---- */

#define IMAP_STAR 0u /* "*" in a range */

struct imap_range {
    uint32_t first, last; /* as sent, in this order; IMAP_STAR for "*" */
};
struct imap_set {
    const struct imap_range *ranges;
    size_t count;
};

/* ---- AUTHENTICATE, ID, ENABLE ---- */

struct imap_authenticate_args {
    struct slice mechanism;
    struct slice initial; /* base64 text or "="; ptr NULL when there is none (RFC 4959) */
};
enum err MUST_USE imap_parse_authenticate(
    struct imap_parse *p, struct imap_authenticate_args *out_args);

struct imap_id_args {
    const struct slice *pairs; /* name, value, name, value; a value's ptr is NULL for NIL */
    size_t count;              /* of slices */
};
enum err MUST_USE imap_parse_id(struct imap_parse *p, struct imap_id_args *out_args);

struct imap_words {
    const struct slice *words;
    size_t count;
};
enum err MUST_USE imap_parse_enable(struct imap_parse *p, struct imap_words *out_args);

/* ---- mailboxes ---- */

struct imap_select_args {
    struct slice mailbox; /* modified UTF-7 */
    bool condstore;
    bool qresync;
    uint32_t uidvalidity;
    uint64_t modseq;
    bool has_known_uids;
    struct imap_set known_uids;
};
enum err MUST_USE imap_parse_select(struct imap_parse *p, struct imap_select_args *out_args);

enum imap_status_item {
    IMAP_STATUS_MESSAGES = 1 << 0,
    IMAP_STATUS_RECENT = 1 << 1,
    IMAP_STATUS_UIDNEXT = 1 << 2,
    IMAP_STATUS_UIDVALIDITY = 1 << 3,
    IMAP_STATUS_UNSEEN = 1 << 4,
    IMAP_STATUS_SIZE = 1 << 5,          /* RFC 8438 */
    IMAP_STATUS_HIGHESTMODSEQ = 1 << 6, /* RFC 7162 */
    IMAP_STATUS_APPENDLIMIT = 1 << 7,   /* RFC 7889 */
};
struct imap_status_args {
    struct slice mailbox;
    unsigned items;
};
enum err MUST_USE imap_parse_status(struct imap_parse *p, struct imap_status_args *out_args);

enum imap_list_option {
    IMAP_LIST_SUBSCRIBED = 1 << 0,
    IMAP_LIST_REMOTE = 1 << 1,
    IMAP_LIST_RECURSIVE = 1 << 2,   /* RECURSIVEMATCH */
    IMAP_LIST_SPECIAL_USE = 1 << 3, /* RFC 6154 */
    IMAP_LIST_CHILDREN = 1 << 4,    /* return option only */
    IMAP_LIST_STATUS = 1 << 5,      /* return option only; RFC 5819 */
};
struct imap_list_args {
    bool extended; /* any of the new syntax was used (RFC 5258 §3) */
    unsigned select, returns;
    unsigned status_items;
    struct slice reference;
    const struct slice *patterns;
    size_t pattern_count;
};
/* LIST and LSUB (which gives select = SUBSCRIBED). */
enum err MUST_USE imap_parse_list(struct imap_parse *p, bool lsub, struct imap_list_args *out_args);

/* ---- flags ---- */

struct imap_flags {
    unsigned system; /* enum imap_flag, never \Recent */
    const struct slice *keywords;
    size_t keyword_count;
};

/* ---- APPEND ---- */

struct imap_append_item {
    struct imap_flags flags;
    bool has_date;
    int64_t date_s;
    int32_t date_tz_min;
    bool literal8; /* "~{": may hold NUL (RFC 3516 §4.4) */
    uint64_t literal;
};
struct imap_append_args {
    struct slice mailbox;
    struct imap_append_item *items;
    size_t count;
    bool
        partial; /* the text ended behind a message's header: there is more of the command to come */
};
/* The frame holds the headers of the messages' literals, not the messages (imap_frame.h). */
enum err MUST_USE imap_parse_append(struct imap_parse *p, struct imap_append_args *out_args);

/* ---- selected state ---- */

enum imap_att_kind {
    IMAP_ATT_FLAGS,
    IMAP_ATT_UID,
    IMAP_ATT_INTERNALDATE,
    IMAP_ATT_SIZE,
    IMAP_ATT_ENVELOPE,
    IMAP_ATT_BODY, /* without section */
    IMAP_ATT_BODYSTRUCTURE,
    IMAP_ATT_MODSEQ,
    IMAP_ATT_PREVIEW, /* RFC 8970 */
    IMAP_ATT_SECTION,
    IMAP_ATT_BINARY,      /* RFC 3516 §4.2; section is IMAP_SECTION_ALL */
    IMAP_ATT_BINARY_SIZE, /* the same */
};
enum imap_section_kind {
    IMAP_SECTION_ALL,
    IMAP_SECTION_HEADER,
    IMAP_SECTION_TEXT,
    IMAP_SECTION_MIME,
    IMAP_SECTION_FIELDS,
    IMAP_SECTION_FIELDS_NOT,
};
struct imap_att {
    enum imap_att_kind kind;
    struct slice
        label; /* as it stands in the answer: "ENVELOPE", "BODY[1.HEADER.FIELDS (TO)]<0>" */
    enum imap_section_kind section;
    bool peek; /* does not set \Seen */
    bool has_partial;
    uint32_t partial_offset, partial_len;
    const uint32_t *numbers;
    size_t number_count;
    const struct slice *fields;
    size_t field_count;
};
struct imap_fetch_args {
    struct imap_set set;
    struct imap_att *atts;
    size_t count;
    bool has_changedsince; /* RFC 7162 §3.1.4.1 */
    uint64_t changedsince;
    bool vanished; /* RFC 7162 §3.2.6 */
};
enum err MUST_USE imap_parse_fetch(struct imap_parse *p, struct imap_fetch_args *out_args);

enum imap_store_how {
    IMAP_STORE_SET,
    IMAP_STORE_ADD,
    IMAP_STORE_REMOVE,
};
struct imap_store_args {
    struct imap_set set;
    enum imap_store_how how;
    bool silent;
    struct imap_flags flags;
    bool has_unchangedsince;
    uint64_t unchangedsince;
};
enum err MUST_USE imap_parse_store(struct imap_parse *p, struct imap_store_args *out_args);

struct imap_copy_args {
    struct imap_set set;
    struct slice mailbox;
};
enum err MUST_USE imap_parse_copy(struct imap_parse *p, struct imap_copy_args *out_args);
/* UID EXPUNGE (RFC 4315 §2.1) */
enum err MUST_USE imap_parse_set(struct imap_parse *p, struct imap_set *out_set);

/* ---- SEARCH ---- */

enum imap_search_kind {
    IMAP_SEARCH_ALL,
    IMAP_SEARCH_AND, /* list */
    IMAP_SEARCH_OR,  /* list of two */
    IMAP_SEARCH_NOT, /* list of one */
    IMAP_SEARCH_SEQ,
    IMAP_SEARCH_UID,
    IMAP_SEARCH_FLAG, /* system flag in number */
    IMAP_SEARCH_UNFLAG,
    IMAP_SEARCH_KEYWORD, /* text */
    IMAP_SEARCH_UNKEYWORD,
    IMAP_SEARCH_NEW,
    IMAP_SEARCH_OLD,
    IMAP_SEARCH_RECENT,
    IMAP_SEARCH_BEFORE, /* day */
    IMAP_SEARCH_ON,
    IMAP_SEARCH_SINCE,
    IMAP_SEARCH_SENTBEFORE,
    IMAP_SEARCH_SENTON,
    IMAP_SEARCH_SENTSINCE,
    IMAP_SEARCH_LARGER, /* number */
    IMAP_SEARCH_SMALLER,
    IMAP_SEARCH_MODSEQ, /* number */
    IMAP_SEARCH_HEADER, /* field, text: also BCC CC FROM SUBJECT TO */
    IMAP_SEARCH_BODY,   /* text */
    IMAP_SEARCH_TEXT,
};
struct imap_search_key {
    enum imap_search_kind kind;
    struct imap_search_key *list; /* children */
    struct imap_search_key *next; /* in the parent's list */
    struct imap_set set;
    uint64_t number;
    int64_t day;
    struct slice field, text;
};
struct imap_search_args {
    struct slice charset;         /* "" when none is given */
    struct imap_search_key *root; /* AND */
    bool has_modseq;              /* a MODSEQ key stands somewhere */
};
enum err MUST_USE imap_parse_search(struct imap_parse *p, struct imap_search_args *out_args);

/* ---- SORT, THREAD (RFC 5256): what the result is made of, and a SEARCH; its charset is always there ---- */

struct imap_sort_args {
    struct sort_criterion criteria[IMAP_SORT_CRITERIA_MAX];
    size_t count;
    struct imap_search_args search;
};
enum err MUST_USE imap_parse_sort(struct imap_parse *p, struct imap_sort_args *out_args);

struct imap_thread_args {
    enum thread_algorithm algorithm;
    struct imap_search_args search;
};
enum err MUST_USE imap_parse_thread(struct imap_parse *p, struct imap_thread_args *out_args);

#endif
