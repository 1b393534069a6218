/* Text as a JSON string (RFC 8259 §7) on standard output. */
#ifndef BIN_JSON_H
#define BIN_JSON_H

#include "base/slice.h"

/* utf8: what is no UTF-8 comes out as U+FFFD. */
void json_print(struct slice utf8);
/* ,"name":"text" of a header value: encoded-words and 8-bit decoded. */
void json_member_decoded(const char *name, struct slice raw);

#endif
