/* The first words of a message (RFC 8970 §3.1). Private to message/. */
#ifndef MESSAGE_PREVIEW_H
#define MESSAGE_PREVIEW_H

#include "base/buf.h"
#include "base/slice.h"

#define PREVIEW_CHARS_MAX 200u /* RFC 8970 §3.3 */

struct preview_text {
    struct slice body; /* the start of a part as it stands in the message */
    struct slice encoding, charset;
    bool is_html, is_flowed, del_sp;
};

/* Appends UTF-8 with runs of blanks made one and without tags. */
void preview_make(const struct preview_text *text, struct buf *out);

#endif
