/* Modified UTF-7 of mailbox names (RFC 3501 §5.1.3), both ways and exactly: what decodes is what encodes to the same bytes. */
#ifndef PROTO_IMAP_UTF7_H
#define PROTO_IMAP_UTF7_H

#include "base/buf.h"

/* Appends UTF-8. ERR_SYNTAX for 8-bit, controls, NUL, and every text that imap_utf7_encode would not give: printable ASCII in
 * base64, two neighbouring runs, spare bits, lone surrogates. out may then hold a part. */
enum err MUST_USE imap_utf7_decode(struct slice text, struct buf *out);

/* Appends modified UTF-7. ERR_SYNTAX when it is not UTF-8. */
enum err MUST_USE imap_utf7_encode(struct slice utf8, struct buf *out);

#endif
