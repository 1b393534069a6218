/* Shows a message as the parser sees it, for people with a strange message and for tests that compare with other servers. */
#include "bin/verb_mime.h"

#include "base/cleanup.h"
#include "bin/catalogue.h"
#include "message/header.h"
#include "message/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static bool read_file(const char *path, struct buf *out)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rbe");
    if (!file) {
        fprintf(stderr, "barid: %s: %s\n", path, strerror(errno));
        return false;
    }
    size_t got;
    do {
        char *room = buf_room(out, 64u << 10);
        got = fread(room, 1, 64u << 10, file);
        buf_wrote(out, got);
    } while (got);
    bool ok = !ferror(file);
    if (!ok)
        fprintf(stderr, "barid: %s: %s\n", path, strerror(errno));
    if (!is_input)
        fclose(file);
    return ok;
}

/* As a message would come by IMAP: CRLF line ends, no NUL. A lone CR ends no line and stays. */
static void canonical(struct slice raw, struct buf *out)
{
    char before = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (!c)
            continue;
        if (c == '\n' && before != '\r')
            buf_addc(out, '\r');
        buf_addc(out, c);
        before = c;
    }
}

static void print(struct slice text)
{
    fwrite(text.ptr, 1, text.len, stdout);
}

/* Text of a stranger for a terminal: control characters become "?". */
static void print_safe(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        bool c1 = c == 0xc2 && i + 1 < text.len && slice_at(text, i + 1) < 0xa0;
        putchar(c < ' ' || c == 127 || c1 ? '?' : c);
        if (c1)
            i++;
    }
}

static int show_imap(const char *path)
{
    struct buf raw __attribute__((cleanup(buf_done)));
    struct buf message __attribute__((cleanup(buf_done)));
    struct buf bytes __attribute__((cleanup(buf_done)));
    struct buf line __attribute__((cleanup(buf_done)));
    buf_init(&raw, 0);
    buf_init(&message, 0);
    buf_init(&bytes, 0);
    buf_init(&line, 0);
    if (!read_file(path, &raw))
        return EX_NOINPUT;
    canonical(buf_slice(&raw), &message);
    struct msg_summary summary;
    if (msg_summary_make(buf_slice(&message), &bytes) != ERR_OK ||
        msg_summary_open(buf_slice(&bytes), &summary) != ERR_OK)
        return EX_SOFTWARE;
    buf_addf(&line, "(RFC822.SIZE %zu ENVELOPE ", buf_len(&message));
    if (msg_write_envelope(&summary, &line) != ERR_OK)
        return EX_SOFTWARE;
    buf_adds(&line, " BODYSTRUCTURE ");
    if (msg_write_bodystructure(&summary, true, &line) != ERR_OK)
        return EX_SOFTWARE;
    buf_adds(&line, ")\n");
    print(buf_slice(&line));
    return EX_OK;
}

static void show_header(struct slice header)
{
    struct msg_field field;
    struct buf value;
    buf_init(&value, 0);
    while (msg_field_next(&header, &field)) {
        buf_clear(&value);
        msg_decode_words(field.value, &value);
        print_safe(field.name);
        print(SLICE(": "));
        print_safe(buf_slice(&value));
        putchar('\n');
    }
    buf_done(&value);
}

static void show_part(const struct msg_part *part)
{
    printf("%*s", (int)part->depth * 2, "");
    print_safe(part->type);
    putchar('/');
    print_safe(part->subtype);
    printf("  header %llu+%llu  body %llu+%llu  ", (unsigned long long)part->header_offset,
        (unsigned long long)part->header_len, (unsigned long long)part->body_offset,
        (unsigned long long)part->body_len);
    print_safe(part->encoding);
    if (part->charset.len) {
        print(SLICE("  charset "));
        print_safe(part->charset);
        if (!charset_known(part->charset))
            print(SLICE(" (not known)"));
    }
    if (part->disposition.len) {
        print(SLICE("  "));
        print_safe(part->disposition);
    }
    if (part->filename.len) {
        print(SLICE("  \""));
        print_safe(part->filename);
        putchar('"');
    }
    putchar('\n');
}

static int show_tree(const char *path)
{
    struct buf message __attribute__((cleanup(buf_done)));
    struct buf bytes __attribute__((cleanup(buf_done)));
    buf_init(&message, 0);
    buf_init(&bytes, 0);
    if (!read_file(path, &message))
        return EX_NOINPUT;
    struct msg_summary summary;
    if (msg_summary_make(buf_slice(&message), &bytes) != ERR_OK ||
        msg_summary_open(buf_slice(&bytes), &summary) != ERR_OK)
        return EX_SOFTWARE;
    show_header(buf_slice(&message));
    putchar('\n');
    size_t cursor = 0;
    struct msg_part part;
    while (msg_part_next(&summary, &cursor, &part))
        show_part(&part);
    printf("\n%zu bytes, summary %zu bytes\n", buf_len(&message), buf_len(&bytes));
    struct slice preview = msg_preview(&summary);
    if (preview.len) {
        putchar('\n');
        print_safe(preview);
        putchar('\n');
    }
    return EX_OK;
}

int verb_mime(int argc, char **argv)
{
    bool imap = argc > 1 && strcmp(argv[1], "--imap") == 0;
    int first = imap ? 2 : 1;
    if (argc <= first || (!imap && argc != 2)) {
        fprintf(stderr, "%s\n", tr(MSG_MIME_USAGE));
        return EX_USAGE;
    }
    int worst = EX_OK;
    for (int i = first; i < argc; i++) {
        int code = imap ? show_imap(argv[i]) : show_tree(argv[i]);
        if (code != EX_OK) {
            worst = code;
            if (imap)
                puts("()"); /* keeps one answer for each file */
        }
    }
    return fflush(stdout) == 0 ? worst : EX_IOERR;
}
