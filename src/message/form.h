/* The IMAP forms of a header: what ENVELOPE and BODYSTRUCTURE say (RFC 3501 §7.4.2). Made once, when the message arrives. Private to message/. */
#ifndef MESSAGE_FORM_H
#define MESSAGE_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "message/head.h"
#include "message/param.h"

/* nstring: NIL when ptr is NULL, quoted when it can be, else a literal. NUL is left out. */
void form_nstring(struct buf *out, struct slice text);

/* envelope = "(" date subject from sender reply-to to cc bcc in-reply-to message-id ")". ERR_LIMIT over the arena. */
enum err MUST_USE form_envelope(struct arena *arena, const struct head *head, struct buf *out);

/* body-fld-param: "(name value ...)", or NIL when there are none. */
void form_params(struct buf *out, const struct mime_value *value);
/* body-fld-dsp: "(type params)". */
void form_disposition(struct buf *out, const struct mime_value *value);
/* body-fld-lang: "(tag tag)" of a raw Content-Language. */
void form_language(struct buf *out, struct slice raw);
/* A raw text value, cut to bytes_max and unfolded, as nstring. */
enum err MUST_USE form_text(
    struct arena *arena, struct buf *out, struct slice raw, size_t bytes_max);

#endif
