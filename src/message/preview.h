/* The first words of a message (RFC 8970 §3.1). Private to message/. */
#ifndef MESSAGE_PREVIEW_H
#define MESSAGE_PREVIEW_H

#include "base/buf.h"
#include "base/slice.h"

#define PREVIEW_CHARS_MAX 256u /* RFC 8970 §3.1 */

/* Appends UTF-8 with runs of blanks made one and without tags. body is the start of a part as it stands in the message. */
void preview_make(
    struct slice body, struct slice encoding, struct slice charset, bool is_html, struct buf *out);

#endif
