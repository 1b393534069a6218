/* `barid mime FILE`: a message as the parser sees it, for people with a strange message, and as JSON for programs. */
#include "bin/verb_mime_int.h"

#include "bin/cli.h"
#include "bin/json.h"
#include "message/filename.h"
#include "message/header.h"
#include "message/thread.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- for people ---- */

static void print(const char *text)
{
    (void)fputs(text, stdout);
}

static void show_header(struct slice header)
{
    struct msg_field field;
    struct buf value;
    buf_init(&value, 0);
    while (msg_field_next(&header, &field)) {
        buf_clear(&value);
        msg_decode_words(field.value, &value);
        cli_print_safe(field.name);
        print(": ");
        cli_print_safe(buf_slice(&value));
        putchar('\n');
    }
    buf_done(&value);
}

static void show_part(const struct msg_part *part, const char *number)
{
    printf("%*s%s%s", (int)part->depth * 2, "", number, *number ? "  " : "");
    cli_print_safe(part->type);
    putchar('/');
    cli_print_safe(part->subtype);
    print("  ");
    cli_put(MSG_MIME_PLACES, (unsigned long long)part->header_offset,
        (unsigned long long)part->header_len, (unsigned long long)part->body_offset,
        (unsigned long long)part->body_len);
    print("  ");
    cli_print_safe(part->encoding);
    if (part->charset.len) {
        printf("  %s ", tr(MSG_MIME_CHARSET));
        cli_print_safe(part->charset);
        if (!charset_known(part->charset))
            printf(" (%s)", tr(MSG_MIME_UNKNOWN));
    }
    if (part->flowed)
        print(part->del_sp ? "  format=flowed delsp=yes" : "  format=flowed");
    if (part->disposition.len) {
        print("  ");
        cli_print_safe(part->disposition);
    }
    if (part->filename.len) {
        print("  \"");
        cli_print_safe(part->filename);
        putchar('"');
    }
    putchar('\n');
}

static void show_all(const struct mime_file *file)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    show_header(buf_slice(&file->bytes));
    putchar('\n');
    while (mime_walk_next(&walk, &file->summary, &part))
        show_part(&part, walk.number);
    putchar('\n');
    cli_say(MSG_MIME_SIZES, buf_len(&file->bytes), buf_len(&file->summary_bytes));
    struct slice preview = msg_preview(&file->summary);
    if (!preview.len)
        return;
    putchar('\n');
    cli_print_safe(preview);
    putchar('\n');
}

int mime_show_tree(const char *path)
{
    struct mime_file file;
    int code = mime_file_open(&file, path, false);
    if (code == EX_OK)
        show_all(&file);
    mime_file_done(&file);
    return code;
}

/* ---- for programs ---- */

static void json_headers(struct slice header)
{
    struct msg_field field;
    struct buf text;
    bool any = false;
    buf_init(&text, 0);
    print(",\"headers\":[");
    while (msg_field_next(&header, &field)) {
        print(any ? ",{\"name\":" : "{\"name\":");
        any = true;
        buf_clear(&text);
        msg_decode_words(field.name, &text);
        json_print(buf_slice(&text));
        json_member_decoded("value", field.value);
        putchar('}');
    }
    putchar(']');
    buf_done(&text);
}

static void json_facts(const struct mime_file *file)
{
    struct msg_facts facts;
    msg_facts(&file->summary, &facts);
    if (facts.date_s != INT64_MIN)
        printf(",\"date\":%" PRId64 ",\"date_zone_minutes\":%" PRId32, facts.date_s,
            facts.date_tz_min);
    else
        print(",\"date\":null,\"date_zone_minutes\":null");
    json_member_decoded("subject", facts.subject);
    print(",\"base_subject\":");
    json_print(facts.base_subject);
    printf(",\"is_reply\":%s,\"has_attachment\":%s", facts.is_reply ? "true" : "false",
        facts.has_attachment ? "true" : "false");
}

/* The message's own id, and its references. */
static void json_thread(struct slice header)
{
    struct buf ids, text;
    buf_init(&ids, 0);
    buf_init(&text, 0);
    msg_thread_ids(slice_sub(header, 0, msg_header_len(header)), &ids);
    struct slice rest = buf_slice(&ids), id;
    bool own = true;
    while (slice_cut(&rest, '\n', &id)) {
        buf_clear(&text);
        msg_decode_words(id, &text); /* makes 8-bit ids UTF-8 */
        print(own ? ",\"message_id\":" : "");
        if (own && !id.len)
            print("null");
        else
            json_print(buf_slice(&text));
        print(own ? ",\"references\":[" : rest.len ? "," : "");
        own = false;
    }
    putchar(']');
    buf_done(&ids);
    buf_done(&text);
}

static void json_part(const struct msg_part *part, const char *number)
{
    struct buf safe;
    buf_init(&safe, 0);
    print("{\"part\":");
    if (*number)
        printf("\"%s\"", number);
    else
        print("null");
    printf(",\"depth\":%u", part->depth);
    json_member_decoded("type", part->type);
    json_member_decoded("subtype", part->subtype);
    json_member_decoded("encoding", part->encoding);
    json_member_decoded("charset", part->charset);
    printf(",\"charset_known\":%s", charset_known(part->charset) ? "true" : "false");
    json_member_decoded("disposition", part->disposition);
    print(",\"filename\":");
    json_print(part->filename);
    msg_safe_filename(part->filename, &safe);
    print(",\"safe_filename\":");
    json_print(buf_slice(&safe));
    printf(",\"attachment\":%s,\"flowed\":%s,\"delsp\":%s",
        mime_is_attachment(part) ? "true" : "false", part->flowed ? "true" : "false",
        part->del_sp ? "true" : "false");
    printf(",\"header\":{\"offset\":%" PRIu64 ",\"length\":%" PRIu64
           "},\"body\":{\"offset\":%" PRIu64 ",\"length\":%" PRIu64 "}}",
        part->header_offset, part->header_len, part->body_offset, part->body_len);
    buf_done(&safe);
}

static void json_all(const struct mime_file *file)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    struct slice message = buf_slice(&file->bytes);
    bool any = false;
    printf("{\"size\":%zu,\"summary_size\":%zu", message.len, buf_len(&file->summary_bytes));
    json_facts(file);
    json_thread(message);
    json_headers(message);
    print(",\"preview\":");
    json_print(msg_preview(&file->summary));
    print(",\"parts\":[");
    while (mime_walk_next(&walk, &file->summary, &part)) {
        print(any ? "," : "");
        any = true;
        json_part(&part, walk.number);
    }
    print("]}\n");
}

int mime_show_json(const char *path)
{
    struct mime_file file;
    int code = mime_file_open(&file, path, false);
    if (code == EX_OK)
        json_all(&file);
    mime_file_done(&file);
    return code;
}
