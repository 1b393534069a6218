/* What headers decide: filters, the identity of messages without UIDL, and the note that stands for a large message. */
#include "message/header.h"
#include "base/encode.h"
#include "base/utf8.h"
#include "client/smtp/smtpc_compose.h"
#include "fetch/fetch_int.h"
#include "message/address.h"
#include "message/text.h"

#include <inttypes.h>
#include <string.h>

bool fetch_header_matches(struct slice header, char *const *pairs)
{
    bool found = false;
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; pairs && pairs[i] && !found; i += 2) {
        struct slice rest = header;
        struct msg_field field;
        while (!found && msg_field_next(&rest, &field)) {
            if (!slice_eq_nocase(field.name, slice_of(pairs[i])))
                continue;
            buf_clear(&text);
            msg_decode_words(field.value, &text);
            found = slice_find_nocase(buf_slice(&text), slice_of(pairs[i + 1])) != SIZE_MAX;
        }
    }
    buf_done(&text);
    return found;
}

/* Fields that servers of this kind change while a message lies there. */
static const struct slice volatile_fields[] = { SLICE_CONST("Status"), SLICE_CONST("X-Status"),
    SLICE_CONST("X-Keywords"), SLICE_CONST("X-UID"), SLICE_CONST("X-UIDL"), SLICE_CONST("X-IMAP") };

void fetch_header_key(const char *secret, struct slice header, uint64_t bytes, struct buf *out)
{
    struct buf text;
    buf_init(&text, 0);
    msg_header_fields(
        header, volatile_fields, sizeof volatile_fields / sizeof *volatile_fields, true, &text);
    buf_addf(&text, "%" PRIu64, bytes);
    buf_addc(out, 'h');
    for (uint64_t half = 0; half < 2; half++) {
        uint64_t key[2] = { 0, half };
        memcpy(&key[0], secret, strnlen(secret, sizeof key[0]));
        uint64_t hash = map_hash(key, buf_slice(&text));
        buf_addf(out, "%016" PRIx64, hash);
    }
    buf_done(&text);
}

/* ---- notes ---- */

static void clean(struct buf *text)
{
    char *at = text->mem + text->start;
    for (size_t i = 0; i < buf_len(text); i++)
        if ((unsigned char)at[i] < ' ' || at[i] == 0x7f)
            at[i] = ' ';
}

static void add_crlf(struct slice text, struct buf *out)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        buf_add(out, line);
        buf_adds(out, "\r\n");
    }
}

void fetch_note_write(struct slice header, uint64_t bytes, int64_t now_s, fetch_note_fn *note_text,
    void *note_arg, struct buf *out)
{
    static const struct slice kept[] = { SLICE_CONST("From"), SLICE_CONST("Sender"),
        SLICE_CONST("Reply-To"), SLICE_CONST("To"), SLICE_CONST("Cc"), SLICE_CONST("Date") };
    struct buf subject, body, original;
    struct msg_field field;
    char date[32];
    buf_init(&subject, 0), buf_init(&body, 0), buf_init(&original, 0);
    note_text(note_arg, bytes, &subject, &body);
    if (msg_field_find(header, SLICE("Subject"), &field)) {
        msg_decode_words(field.value, &original);
        buf_adds(&subject, ": ");
        buf_add(&subject, slice_sub(buf_slice(&original), 0, 2000));
    }
    clean(&subject);
    msg_header_fields(header, kept, sizeof kept / sizeof *kept, false, out);
    if (!msg_field_find(header, SLICE("Date"), &field)) {
        size_t len = msg_date_write(now_s, date);
        buf_addf(out, "Date: %.*s\r\n", (int)len, date);
    }
    if (msg_field_find(
            header, SLICE("Message-ID"), &field)) /* it is not that message; it belongs to it */
        buf_addf(out, "References:%.*s\r\n", SLICE_FMT(field.value));
    buf_clear(&original);
    buf_adds(&original, "Subject: ");
    smtpc_write_words(buf_slice(&subject), &original);
    add_crlf(buf_slice(&original), out);
    buf_adds(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
                  "Content-Transfer-Encoding: 8bit\r\n\r\n");
    add_crlf(buf_slice(&body), out);
    buf_done(&subject), buf_done(&body), buf_done(&original);
}
