/* Lines of messages. */
#include "bin/mail_show.h"

#include "base/utf8.h"
#include "bin/client_common.h"
#include "bin/json.h"
#include "message/address.h"
#include "message/header.h"
#include "message/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <uniwidth.h>

#define FROM_COLUMNS    24
#define SUBJECT_COLUMNS 72
#define ISOLATE         "\xe2\x81\xa8" /* U+2068 */
#define ISOLATE_END     "\xe2\x81\xa9"

void mail_add_isolated(struct slice utf8, struct buf *out)
{
    bool isolated = !slice_is_ascii(utf8);
    if (isolated)
        buf_adds(out, ISOLATE);
    cli_add_safe(out, utf8);
    if (isolated)
        buf_adds(out, ISOLATE_END);
}

void mail_add_value(struct slice raw, struct buf *out)
{
    struct buf text;
    buf_init(&text, 0);
    msg_decode_words(raw, &text);
    mail_add_isolated(buf_slice(&text), out);
    buf_done(&text);
}

void mail_add_from(struct slice raw, struct buf *out)
{
    struct arena arena;
    struct msg_address *list;
    size_t count = 0;
    arena_init(&arena, 1u << 20);
    bool ok = msg_addresses(&arena, raw, 1, &list, &count) == ERR_OK && count;
    if (ok && list[0].name.len)
        msg_decode_words(list[0].name, out);
    else if (ok && list[0].host.ptr)
        buf_addf(out, "%.*s@%.*s", SLICE_FMT(list[0].mailbox), SLICE_FMT(list[0].host));
    else
        msg_decode_words(raw, out);
    arena_done(&arena);
}

/* Only as many characters as fit the columns; the rest of them as blanks when filled. */
static void add_cut(struct slice utf8, int columns, bool filled, struct buf *out)
{
    int used = 0;
    size_t at = 0;
    while (at < utf8.len) {
        uint32_t c;
        size_t len = utf8_decode(utf8, at, &c);
        int wide = len ? uc_width(c, "UTF-8") : 1;
        wide = wide < 0 ? 1 : wide;
        if (used + wide > columns)
            break;
        used += wide;
        at += len ? len : 1;
    }
    mail_add_isolated(slice_sub(utf8, 0, at), out);
    for (; filled && used < columns; used++)
        buf_addc(out, ' ');
}

static struct slice field(struct slice header, const char *name)
{
    struct msg_field found;
    return msg_field_find(header, slice_of(name), &found) ? found.value : SLICE_EMPTY;
}

/* When it was sent, else when it came: what a person looks for. */
static int64_t time_of(const struct imapc_message *m)
{
    int64_t s;
    int32_t zone;
    return msg_date(field(m->header, "Date"), &s, &zone) ? s : m->received_s;
}

static void show_text(const struct imapc_message *m)
{
    char when[32], size[40];
    struct buf line, text;
    buf_init(&line, 0);
    buf_init(&text, 0);
    buf_addf(&line, "%8u %c%c%c%c %s %9s  ", m->uid,
        imap_value_has(m->flags, SLICE("\\Seen")) ? ' ' : 'N',
        imap_value_has(m->flags, SLICE("\\Flagged")) ? '!' : ' ',
        imap_value_has(m->flags, SLICE("\\Answered")) ? 'A' : ' ',
        imap_value_has(m->flags, SLICE("\\Deleted")) ? 'D' : ' ',
        cli_time(time_of(m), when, sizeof when), client_size(m->bytes, size, sizeof size));
    mail_add_from(field(m->header, "From"), &text);
    add_cut(buf_slice(&text), FROM_COLUMNS, true, &line);
    buf_adds(&line, "  ");
    buf_clear(&text);
    msg_decode_words(field(m->header, "Subject"), &text);
    add_cut(buf_slice(&text), SUBJECT_COLUMNS, false, &line);
    buf_addc(&line, '\n');
    fwrite(buf_slice(&line).ptr, 1, buf_len(&line), stdout);
    buf_done(&line);
    buf_done(&text);
}

static void show_json(const struct mail_rows *rows, const struct imapc_message *m)
{
    const char *comma = "";
    printf("{\"folder\":");
    json_print(slice_of(rows->folder));
    printf(",\"uid\":%u,\"flags\":[", m->uid);
    for (const struct imap_value *flag =
             m->flags && m->flags->kind == IMAP_VALUE_LIST ? m->flags->first : NULL;
         flag; flag = flag->next) {
        if (flag->kind == IMAP_VALUE_LIST)
            continue;
        printf("%s", comma);
        json_print(flag->text);
        comma = ",";
    }
    printf("],\"date\":%" PRId64 ",\"received\":%" PRId64 ",\"size\":%" PRIu64, time_of(m),
        m->received_s, m->bytes);
    json_member_decoded("from", field(m->header, "From"));
    json_member_decoded("subject", field(m->header, "Subject"));
    printf("}\n");
}

enum err mail_show_row(void *arg, const struct imapc_message *message)
{
    const struct mail_rows *rows = arg;
    if (rows->json)
        show_json(rows, message);
    else
        show_text(message);
    return ERR_OK;
}
