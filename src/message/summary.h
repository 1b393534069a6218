/* The summary of a message: what IMAP, POP3, search and later JMAP ask for, without opening the message (DESIGN §4, §5).
 *
 * A compact, versioned binary form made once when the message arrives: ENVELOPE, the MIME tree with byte offsets and line counts, the
 * header fields that clients ask for, a preview. Derived from the bytes alone (S-7): same bytes, same summary.
 *
 * The scanner is fed the message in pieces of any size as they arrive and keeps only the header section it is in; its
 * memory is bounded by the MIME_* limits whatever the message's size. Cutting the input anywhere gives the same result.
 * It never fails on strange mail: past a limit the rest is one opaque leaf or cut text. */
#ifndef MESSAGE_SUMMARY_H
#define MESSAGE_SUMMARY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "message/source.h"

#define MSG_SUMMARY_VERSION 3u

struct msg_scan; /* the one-pass scanner */

struct msg_scan *msg_scan_new(void);
void msg_scan_free(struct msg_scan *scan);
void msg_scan_feed(struct msg_scan *scan, struct slice bytes);
/* Ends the message and appends its summary to out. Call once. ERR_LIMIT only when out is over its limit. */
enum err MUST_USE msg_scan_finish(struct msg_scan *scan, struct buf *out);

/* Feed + finish for a message in memory. */
enum err MUST_USE msg_summary_make(struct slice message, struct buf *out);

/* Reads a whole message in pieces and appends its summary. Waits as the source does, and gives its errors. */
enum err MUST_USE msg_summary_from(const struct msg_source *source, struct buf *out);

/* ---- reading a summary (all borrowed; ERR_CORRUPT when the bytes are no summary of this version) ---- */

struct msg_summary {
    struct slice bytes; /* borrowed */
    /* private offsets may follow */
    uint32_t private_offsets[16];
};

/* Whether bytes are of an earlier version, by their first byte. */
bool msg_summary_is_older(struct slice bytes);

enum err MUST_USE msg_summary_open(struct slice bytes, struct msg_summary *out_summary);

/* IMAP forms (RFC 3501 §7.4.2, §9): "(...)" appended. 8-bit text goes out as a literal. */
enum err MUST_USE msg_write_envelope(const struct msg_summary *summary, struct buf *out);
/* extensible false = BODY, true = BODYSTRUCTURE */
enum err MUST_USE msg_write_bodystructure(const struct msg_summary *summary, bool extensible, struct buf *out);

/* Ranges of a section (RFC 3501 §6.4.5 "section"). */
enum msg_section {
    MSG_SECTION_ALL,    /* BODY[] or BODY[1.2]: the part's body without its MIME header (whole message when no numbers) */
    MSG_SECTION_HEADER, /* BODY[HEADER], BODY[1.HEADER]: needs message or message/rfc822; with the blank line */
    MSG_SECTION_TEXT,
    MSG_SECTION_MIME, /* BODY[1.MIME]: the part's own header, with the blank line */
};

struct msg_range {
    uint64_t offset, len;
};

/* Where that section lies in the message. ERR_NOT_FOUND when there is no such part (IMAP answers NIL or ""). */
enum err MUST_USE msg_find_section(const struct msg_summary *summary, const uint32_t *numbers, size_t count,
        enum msg_section section, struct msg_range *out_range);

/* The body of a part, as MSG_SECTION_ALL, and the transfer encoding it is to be decoded from: "binary" for a multipart and for the whole message, which
 * stand as they are. Borrowed from the summary. RFC 3516 §4.2. */
enum err MUST_USE msg_find_binary(const struct msg_summary *summary, const uint32_t *numbers, size_t count,
    struct msg_range *out_range, struct slice *out_encoding);

/* For BODY[HEADER.FIELDS (...)] of the top level: when every wanted name is among the fields the summary keeps, appends the
 * fields as they stood in the message (order, folding, CRLF), without the blank line, and returns true. False: read the header itself
 * and use msg_header_fields. */
bool msg_summary_fields(const struct msg_summary *summary, const struct slice *names, size_t count,
        struct buf *out);

/* ENVELOPE as msg_write_envelope has it; borrowed, "" when the message has no header. */
struct slice msg_envelope(const struct msg_summary *summary);
/* The fields that the summary keeps, one after another as they stood; borrowed. False: not all of them are, read the header itself. */
bool msg_kept_header(const struct msg_summary *summary, struct slice *out_header);

/* RFC 8970 preview: UTF-8, at most 200 characters. */
struct slice msg_preview(const struct msg_summary *summary);

/* Single values decoded for SEARCH, SORT and people. */
#define MSG_SURROGATE_UNKNOWN UINT64_MAX

struct msg_facts {
    int64_t date_s;      /* of the Date field, UTC; INT64_MIN when there is none or it is nonsense */
    int32_t date_tz_min; /* its zone: SEARCH SENTON disregards time and zone (RFC 3501 §6.4.4), i.e. uses the local date */
    struct slice subject, from, to, cc, bcc, message_id; /* raw field values, unfolded; may hold encoded-words; "" if absent */
    struct slice base_subject; /* RFC 5256 §2.1, UTF-8 */
    bool is_reply;             /* RFC 5256 §3: reply or forward, by its subject */
    bool has_attachment;
    bool needs_utf8;          /* a header section holds bytes that are not ASCII (RFC 6532) */
    uint64_t surrogate_bytes; /* then: the message's size after msg_downgrade_feed; MSG_SURROGATE_UNKNOWN where a field was too long, and else */
};
void msg_facts(const struct msg_summary *summary, struct msg_facts *out_facts);

/* One leaf or container in depth-first order: for search, `barid mime`, JMAP. */
struct msg_part {
    uint64_t header_offset, header_len; /* MIME header with blank line; header_len 0 for none */
    uint64_t body_offset, body_len;
    uint32_t depth;               /* 0 for the message itself */
    struct slice type, subtype;   /* lower case: "text", "plain" */
    struct slice charset;         /* as given; "" when absent */
    struct slice encoding;        /* lower case; "7bit" when absent */
    struct slice filename;        /* decoded to UTF-8, RFC 2231 joined; "" when absent; NOT safe as a path */
    struct slice disposition;     /* lower case; "" when absent */
    bool flowed, del_sp;          /* text/plain of format=flowed, with DelSp=yes (RFC 3676 §4) */
};
/* What encoding of a part is to be decoded from: its own, but "binary" for a multipart, and for a message/rfc822 unless it is in base64 or
 * quoted-printable, which RFC 2045 §6.4 does not have and mail has. */
struct slice msg_part_encoding(struct slice type, struct slice subtype, struct slice encoding);

/* Start with *cursor = 0; false at the end. */
bool msg_part_next(const struct msg_summary *summary, size_t *cursor, struct msg_part *out_part);

#endif
