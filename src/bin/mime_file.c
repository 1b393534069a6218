/* A message from a file, and the numbers of its parts. */
#include "bin/verb_mime_int.h"

#include "bin/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES (64u << 10)

static bool read_file(const char *path, struct buf *out)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rbe");
    bool ok = file != NULL;
    size_t got = ok;
    while (got) {
        char *room = buf_room(out, READ_BYTES);
        got = fread(room, 1, READ_BYTES, file);
        buf_wrote(out, got);
    }
    ok = ok && !ferror(file);
    if (!ok)
        cli_error(MSG_FILE_FAILED, path, strerror(errno));
    if (file && !is_input)
        fclose(file);
    return ok;
}

/* A lone CR ends no line and stays. */
static void make_canonical(struct buf *bytes)
{
    struct buf out;
    struct slice raw = buf_slice(bytes);
    char before = 0;
    buf_init(&out, 0);
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (!c)
            continue;
        if (c == '\n' && before != '\r')
            buf_addc(&out, '\r');
        buf_addc(&out, c);
        before = c;
    }
    buf_done(bytes);
    *bytes = out;
}

int mime_file_open(struct mime_file *file, const char *path, bool canonical)
{
    buf_init(&file->bytes, 0);
    buf_init(&file->summary_bytes, 0);
    if (!read_file(path, &file->bytes))
        return EX_NOINPUT;
    if (canonical)
        make_canonical(&file->bytes);
    enum err e = msg_summary_make(buf_slice(&file->bytes), &file->summary_bytes);
    if (e == ERR_OK)
        e = msg_summary_open(buf_slice(&file->summary_bytes), &file->summary);
    if (e == ERR_OK)
        return EX_OK;
    cli_error(MSG_FAILED, err_words(e));
    return EX_SOFTWARE;
}

void mime_file_done(struct mime_file *file)
{
    buf_done(&file->bytes);
    buf_done(&file->summary_bytes);
}

static bool is_multipart(const struct msg_part *part)
{
    return slice_eq(part->type, SLICE("multipart"));
}

/* A part of a multipart is counted; the message inside a message/rfc822 has the number of that part when it is a multipart, and is
 * its part 1 when it is not. */
static void write_number(struct mime_walk *walk, const struct msg_part *part)
{
    const char *prefix = "";
    uint32_t number = is_multipart(part) ? 0 : 1;
    if (part->depth) {
        prefix = walk->levels[part->depth - 1].prefix;
        if (walk->levels[part->depth - 1].is_multipart)
            number = ++walk->levels[part->depth - 1].children;
    }
    char *own = walk->levels[part->depth].prefix;
    int len =
        snprintf(walk->number, sizeof walk->number, "%s%s%u", prefix, *prefix ? "." : "", number);
    if (!number || len < 0 ||
        (size_t)len >=
            sizeof walk->number) /* the second is impossible: depth and parts are bounded */
        walk->number[0] = 0;
    (void)stpcpy(own, number ? walk->number : prefix);
    walk->levels[part->depth].children = 0;
    walk->levels[part->depth].is_multipart = is_multipart(part);
}

bool mime_walk_next(
    struct mime_walk *walk, const struct msg_summary *summary, struct msg_part *out_part)
{
    if (!msg_part_next(summary, &walk->cursor, out_part))
        return false;
    write_number(walk, out_part);
    return true;
}

bool mime_is_attachment(const struct msg_part *part)
{
    if (is_multipart(part))
        return false;
    return slice_eq(part->disposition, SLICE("attachment")) || part->filename.len ||
           (part->depth && !slice_eq(part->type, SLICE("text")));
}
