/* Where a line ends, and where a message that is sent with dots ends: CRLF and nothing else (RFC 5321 §2.3.8, §4.1.1.4).
 *
 * Pure and resumable at every byte: no I/O, no allocation, no pointer into the input is kept. One struct per direction; not thread-safe. */
#ifndef PROTO_WIRE_WIRE_H
#define PROTO_WIRE_WIRE_H

#include "base/buf.h"
#include "base/slice.h"

enum wire {
    WIRE_MORE,     /* no end yet: feed on when more is there */
    WIRE_DONE,
    WIRE_PIECE,    /* wire_dot_next only: a piece of content came out */
    WIRE_TOO_LONG, /* over bytes_max without an end */
    WIRE_BARE,     /* a CR without LF, an LF without CR, or a NUL: the line is refused */
};

/* ---- lines ---- */

struct wire_line {
    size_t seen; /* bytes of the line examined so far */
};

/* Examines in (the line from its first byte; may have moved since the last call, must not have shrunk).
 *
 * WIRE_DONE      *out_line is the line without CRLF; consume out_line->len + 2
 * WIRE_BARE      *out_line ends with the LF (or with the CRLF) at which reading can go on; consume all of it and answer an error
 * WIRE_TOO_LONG  more than bytes_max bytes, CRLF included, without an end: drop, or consume with wire_line_skip
 *
 * After DONE and BARE the framer is at the start of the next line. */
enum wire wire_line_feed(struct wire_line *framer, struct slice in, size_t bytes_max, struct slice *out_line);
/* How many bytes of in belong to a line that is too long: all of it while no LF is there; *out_ended when the LF was met. The framer
 * then starts anew. */
size_t wire_line_skip(struct wire_line *framer, struct slice in, bool *out_ended);

/* ---- dots, coming in: DATA (RFC 5321 §4.5.2), multi-line answers of POP3 (RFC 1939 §3) ---- */

struct wire_dot_in {
    unsigned char state; /* private; starts as 0, at the beginning of a line */
    bool bare;           /* a bare CR or LF, or a NUL, came by: the message is to be refused at its end */
};

/* Takes bytes off the front of *in.
 *
 * WIRE_PIECE  *out_piece is content with dots unstuffed, borrowed from in or static; call again
 * WIRE_MORE   *in is used up
 * WIRE_DONE   the CRLF "." CRLF came; *in holds what follows it. The CRLF before the dot belongs to the content. */
enum wire wire_dot_next(struct wire_dot_in *dots, struct slice *in, struct slice *out_piece);

/* ---- dots, going out ---- */

struct wire_dot_out {
    unsigned char state; /* private; starts as 0, at the beginning of a line */
};

/* Appends piece with the dots at line starts doubled. */
void wire_dot_add(struct wire_dot_out *dots, struct slice piece, struct buf *out);
/* Goes over a piece that may be sent as it stands: true. False: it does not begin a line, or a line in it may begin with a dot; nothing happened. */
bool wire_dot_skip(struct wire_dot_out *dots, struct slice piece);
/* Appends CRLF when the last line has none, then "." CRLF. */
void wire_dot_end(struct wire_dot_out *dots, struct buf *out);

#endif
