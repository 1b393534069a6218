#include "bin/json.h"

#include "message/text.h"

#include "base/utf8.h"

#include <stdio.h>

void json_print(struct slice utf8)
{
    putchar('"');
    for (size_t at = 0, len; at < utf8.len; at += len) {
        uint32_t c;
        len = utf8_decode(utf8, at, &c);
        if (!len) {
            (void)fputs("\\ufffd", stdout);
            len = 1;
        } else if (c == '"' || c == '\\') {
            printf("\\%c", (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            printf("\\u%04x", c);
        } else {
            fwrite(utf8.ptr + at, 1, len, stdout);
        }
    }
    putchar('"');
}

void json_member_decoded(const char *name, struct slice raw)
{
    struct buf text;
    buf_init(&text, 0);
    msg_decode_words(raw, &text);
    printf(",\"%s\":", name);
    json_print(buf_slice(&text));
    buf_done(&text);
}
