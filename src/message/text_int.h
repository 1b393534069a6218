/* What the text functions share: each step also as a stream, so that a part of any size is searched in bounded memory.
 * Private to message/. */
#ifndef MESSAGE_TEXT_INT_H
#define MESSAGE_TEXT_INT_H

#include "message/text.h"

#include <iconv.h>

/* value of RFC 2231 §4: charset'language'percent-encoded, to UTF-8. Without the two quotes it is percent-encoded UTF-8. */
void msg_decode_extended(struct slice value, struct buf *out);

/* Appends bytes as UTF-8: as they stand where all are UTF-8, else as Windows-1252 (what unlabelled 8-bit mail mostly is). */
void text_guess_utf8(struct slice bytes, struct buf *out);

/* ---- transfer encodings ---- */

struct transfer {
    enum {
        TRANSFER_IDENTITY,
        TRANSFER_BASE64,
        TRANSFER_QP,
    } kind;
    uint32_t bits; /* base64: not yet a byte */
    unsigned bits_count;
    char held[64]; /* qp: blanks or a "=" whose meaning the next bytes decide */
    size_t held_len;
};

void transfer_init(struct transfer *transfer, struct slice encoding);
void transfer_feed(struct transfer *transfer, struct slice bytes, struct buf *out);
void transfer_end(struct transfer *transfer, struct buf *out);

/* ---- charsets ---- */

struct charset_stream {
    int kind;             /* private to charset.c */
    const uint16_t *high; /* of a single-byte charset: 0x80 to 0xff */
    iconv_t cd;
    char held[16]; /* the start of a character */
    size_t held_len;
};

/* ERR_NOT_FOUND for a charset we do not convert. Every opened stream is ended once. */
enum err MUST_USE charset_open(struct charset_stream *stream, struct slice name);
/* For text that says nothing, or nothing known, about its charset: UTF-8 where it is, byte by byte Windows-1252 where it is not. */
void charset_open_guess(struct charset_stream *stream);
void charset_feed(struct charset_stream *stream, struct slice bytes, struct buf *out);
void charset_end(struct charset_stream *stream, struct buf *out);

/* The labels we know, for tests: NULL after the last. */
const char *charset_label(size_t index);

/* ---- HTML ---- */

#define HTML_NAME_BYTES_MAX 12u
#define HTML_STYLE_BYTES_MAX 32u

struct html { /* private to html.c */
    int state;
    char quote;
    char name[HTML_NAME_BYTES_MAX]; /* of the tag or entity being read, lower case for tags */
    size_t name_len;
    bool closing;
    const char *skip; /* element whose text is left out: "style", "script" ... */
    char last[2];

    char attribute[HTML_NAME_BYTES_MAX]; /* name of the attribute being read, lower case */
    size_t attribute_len;                /* may be larger: then the name is not all there */
    int attribute_at;
    char style[HTML_STYLE_BYTES_MAX]; /* the declaration being read, lower case, without blanks */
    size_t style_len;                 /* as attribute_len */
    unsigned hiding;                  /* what hides the element of this tag */

    char hidden[HTML_NAME_BYTES_MAX]; /* element whose text nobody sees, while inside it */
    size_t hidden_len;                /* 0 when outside */
    uint32_t hidden_same;             /* elements of that name opened inside */
    uint32_t hidden_containers;       /* div, table and the like opened inside */
};

void html_init(struct html *html);
/* Appends the text of a piece of HTML: no tags, entities decoded, block elements as line ends, what is hidden left out. Input and
 * output UTF-8. */
void html_feed(struct html *html, struct slice utf8, struct buf *out);
void html_end(struct html *html, struct buf *out);

/* ---- format=flowed, RFC 3676 ---- */

struct flowed { /* private to flowed.c */
    int state;
    bool del_sp;
    uint32_t depth, paragraph_depth; /* quote marks of the line, of the line before */
    bool joins;                      /* the line before goes on in this one */
    bool held_space, held_cr;
    int signature_at;  /* bytes of "-- " at the start of the line; more: it is none */
    bool signature_waits; /* they are held back: a signature does not go on what is before it */
};

/* del_sp: the parameter DelSp=yes (§4.1). */
void flowed_init(struct flowed *flowed, bool del_sp);
/* Appends the text with each paragraph on one line that ends with LF; quote marks stay at its start. Input and output UTF-8. */
void flowed_feed(struct flowed *flowed, struct slice utf8, struct buf *out);
void flowed_end(struct flowed *flowed, struct buf *out);

/* ---- all of it: a text part as it stands in a message, to what a reader sees ---- */

struct part_text {
    struct transfer transfer;
    struct charset_stream charset;
    struct html html;
    struct flowed flowed;
    bool is_html, is_flowed;
    struct buf bytes, utf8; /* between the steps */
};

struct part_text_kind {
    struct slice encoding, charset; /* as the header gives them */
    bool is_html, is_flowed, del_sp;
};

void part_text_init(struct part_text *text, const struct part_text_kind *kind);
/* Appends UTF-8, whole characters only. final once, with the last bytes. */
void part_text_feed(struct part_text *text, struct slice raw, bool final, struct buf *out);
/* After final only. */
void part_text_done(struct part_text *text);

/* Appends c as UTF-8; U+FFFD when it is no scalar value. */
void text_add_char(struct buf *out, uint32_t c);

#endif
