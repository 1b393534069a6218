/* Whatever the line, the answer holds no control, and what was read is written so that it reads the same. */
#include "proto/smtp/smtp_parse.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice line = slice_from(data, size), rest;
    enum smtp_verb verb = smtp_parse_verb(line, &rest);
    struct smtp_mail mail, again;
    struct smtp_path path;
    uint64_t bytes;
    bool last;
    if (verb == SMTP_RCPT && smtp_parse_rcpt(rest, &path) == ERR_OK)
        for (const char *c = path.address; *c; c++)
            assert((unsigned char)*c > 32);
    if (verb == SMTP_BDAT && smtp_parse_bdat(rest, &bytes, &last) == ERR_OK)
        assert(bytes <= INT64_MAX);
    if (verb != SMTP_MAIL || smtp_parse_mail(rest, &mail) != ERR_OK)
        return 0;
    for (const char *c = mail.path.address; *c; c++)
        assert((unsigned char)*c > 32);
    struct buf out;
    buf_init(&out, 0);
    smtp_write_mail(&mail, &out);
    enum err e = smtp_parse_mail(buf_slice(&out), &again);
    assert(e == ERR_OK);
    assert(strcmp(again.path.address, mail.path.address) == 0);
    assert(again.size == mail.size);
    assert(again.smtputf8 == mail.smtputf8);
    buf_done(&out);
    return 0;
}
