/* From bytes on the wire to text that a person searches: transfer encodings, charsets, encoded-words, folding. Lenient: damaged input gives
 * the readable rest, never an error. */
#ifndef MESSAGE_TEXT_H
#define MESSAGE_TEXT_H

#include "base/buf.h"
#include "base/slice.h"
#include "message/source.h"
#include "message/summary.h"

/* Lenient base64 of a whole text (RFC 2045 §6.8). */
void msg_decode_base64(struct slice text, struct buf *out);

/* Whether a Content-Transfer-Encoding is one of RFC 2045 §6.1. */
bool msg_encoding_known(struct slice encoding);

typedef enum err msg_piece_fn(void *take_arg, struct slice piece);
/* Decodes a range of a message from base64 or quoted-printable, by name of the Content-Transfer-Encoding, all else copied; leniently, piece by piece, in memory that does not grow with it; take's first error ends it and is given back. Waits as
 * the source does. */
enum err MUST_USE msg_decode_range(const struct msg_source *source, struct msg_range range,
    struct slice encoding, msg_piece_fn *take, void *take_arg);

/* The text of a text part as a reader sees it, in UTF-8 and in pieces of whole characters: transfer encoding, charset, HTML and format=flowed taken off. Otherwise
 * as msg_decode_range. */
enum err MUST_USE msg_read_text(const struct msg_source *source, const struct msg_part *part,
    msg_piece_fn *take, void *take_arg);

/* True for a charset we convert; an allow-list of iconv's plus WHATWG labels. */
bool charset_known(struct slice name);
/* Appends UTF-8. Unknown charset: ERR_NOT_FOUND and nothing appended. Bytes that do not fit become U+FFFD. */
enum err MUST_USE charset_to_utf8(struct slice name, struct slice bytes, struct buf *out);

/* Encoded-words (RFC 2047) and raw 8-bit of a header value to UTF-8, unfolded. */
void msg_decode_words(struct slice value, struct buf *out);

/* The one folding for query and text: NFKC, case, marks of Arabic and Latin (tashkeel, tatweel, alef and hamza forms, ya and alef
 * maqsura, ta marbuta, Persian kaf, ya and ha), Arabic punctuation, typographic quotes and dashes, and both digit sets to ASCII, runs of
 * blanks to one. Input UTF-8. */
void text_fold(struct slice utf8, struct buf *out);

/* The one collation of SORT and THREAD, i;unicode-casemap (RFC 5051 §2): of two texts treated so, the one with the lower bytes comes first, and
 * equal bytes are an equal text. What is not UTF-8 is appended as it stands. */
void text_casemap(struct slice text, struct buf *out);

/* SEARCH BODY / TEXT: whether the folded needle occurs in the decoded, folded text of the message (text parts, names of attachments;
 * with headers: also every decoded header field, of nested messages too). Reads the parts it needs through source.
 * out_filter (may be NULL): a filter of all that text, headers too, is appended (message/filter.h); then the whole message is read. */
enum err MUST_USE msg_text_contains(const struct msg_summary *summary, const struct msg_source *source,
        struct slice folded_needle, bool with_headers, struct buf *out_filter, bool *out_found);

/* SEARCH HEADER name, SUBJECT, FROM, TO ...: whether a field of that name holds the folded needle after decoding and folding;
 * an empty needle matches when the field is there. Uses the summary's kept fields, else reads the header. */
enum err MUST_USE msg_field_contains(const struct msg_summary *summary, const struct msg_source *source,
        struct slice name, struct slice folded_needle, bool *out_found);
/* What it looks into: the values of all fields of that name, decoded and folded, a NUL between two. *out_fields: how many there are. */
enum err MUST_USE msg_field_text(const struct msg_summary *summary, const struct msg_source *source,
        struct slice name, struct buf *out_text, size_t *out_fields);

#endif
