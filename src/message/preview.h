/* The first words of a message (RFC 8970 §3.1). Private to message/. */
#ifndef MESSAGE_PREVIEW_H
#define MESSAGE_PREVIEW_H

#include "base/buf.h"
#include "base/slice.h"
#include "message/text_int.h"

#define PREVIEW_CHARS_MAX 200u /* RFC 8970 §3.3 */

/* Appends UTF-8 with runs of blanks made one and without tags. body is the start of a part as it stands in the message. */
void preview_make(struct slice body, const struct part_text_kind *kind, struct buf *out);

#endif
