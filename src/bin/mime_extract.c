/* `barid mime extract`: parts of a message as files. A file is never written over, and no name leaves the folder. */
#include "bin/verb_mime_int.h"

#include "base/file.h"
#include "bin/cli.h"
#include "message/filename.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An extension for a part that has no name. */
static const char *extension_of(const struct msg_part *part)
{
    static const struct {
        const char *type, *subtype, *extension;
    } known[] = {
        { "text", "plain", ".txt" },
        { "text", "html", ".html" },
        { "text", "calendar", ".ics" },
        { "text", "csv", ".csv" },
        { "text", "vcard", ".vcf" },
        { "message", "rfc822", ".eml" },
        { "image", "jpeg", ".jpg" },
        { "image", "png", ".png" },
        { "image", "gif", ".gif" },
        { "application", "pdf", ".pdf" },
        { "application", "zip", ".zip" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (slice_eq(part->type, slice_of(known[i].type)) &&
            slice_eq(part->subtype, slice_of(known[i].subtype)))
            return known[i].extension;
    }
    return slice_eq(part->type, SLICE("text")) ? ".txt" : ".bin";
}

void mime_propose_name(const struct msg_part *part, const char *number, struct buf *out)
{
    msg_safe_filename(part->filename, out);
    if (buf_len(out))
        return;
    buf_adds(out, "part-");
    buf_adds(out, *number ? number : "0");
    buf_adds(out, extension_of(part));
}

void mime_name_again(struct slice name, int i, struct buf *out)
{
    const char *dot = memrchr(name.ptr, '.', name.len);
    size_t stem = dot && dot != name.ptr ? (size_t)(dot - name.ptr) : name.len;
    buf_add(out, slice_sub(name, 0, stem));
    if (i > 1)
        buf_addf(out, " (%d)", i);
    buf_add(out, slice_from_index(name, stem));
    buf_addc(out, 0);
}

/* Creates name, or another one when it is there; *name is what it came to. -1: errno says why. */
static int create_new(int folder, struct buf *name)
{
    struct buf tried;
    buf_init(&tried, 0);
    int fd = -1;
    for (int i = 1; fd < 0 && i <= MIME_SAME_NAME_MAX; i++) {
        buf_clear(&tried);
        mime_name_again(buf_slice(name), i, &tried);
        fd = openat(folder, buf_slice(&tried).ptr,
            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    buf_done(name);
    *name = tried;
    return fd;
}

static enum err write_piece(void *take_arg, struct slice piece)
{
    const int *fd = take_arg;
    return file_write(*fd, piece);
}

static int save(const struct mime_file *file, const struct msg_part *part, const char *number,
    const char *folder_name, int folder)
{
    struct buf name;
    buf_init(&name, 0);
    mime_propose_name(part, number, &name);
    int fd = create_new(folder, &name);
    const char *path = buf_slice(&name).ptr;
    if (fd < 0) {
        cli_error(MSG_FILE_FAILED, path, strerror(errno));
        buf_done(&name);
        return EX_CANTCREAT;
    }
    struct msg_source source = msg_source_memory(buf_slice(&file->bytes));
    struct msg_range range = { part->body_offset, part->body_len };
    struct slice encoding = msg_part_encoding(part->type, part->subtype, part->encoding);
    enum err e = msg_decode_range(&source, range, encoding, write_piece, &fd);
    bool closed = close(fd) == 0;
    if (e != ERR_OK || !closed) {
        cli_error(MSG_FILE_FAILED, path, strerror(errno));
        (void)unlinkat(folder, path, 0); /* half a file is worse than none */
        buf_done(&name);
        return EX_IOERR;
    }
    printf("%s/%s\n", folder_name, path);
    buf_done(&name);
    return EX_OK;
}

static bool is_wanted(const char *number, char **numbers, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(numbers[i], number) == 0)
            return true;
    }
    return false;
}

/* Every number must be there, before anything is written. */
static bool all_there(const struct mime_file *file, char **numbers, int count)
{
    for (int i = 0; i < count; i++) {
        struct mime_walk walk = { 0 };
        struct msg_part part;
        bool found = false;
        while (!found && mime_walk_next(&walk, &file->summary, &part))
            found = strcmp(walk.number, numbers[i]) == 0;
        if (!found) {
            cli_error(MSG_MIME_NO_PART, numbers[i]);
            return false;
        }
    }
    return true;
}

static int save_all(
    const struct mime_file *file, const char *folder_name, int folder, char **numbers, int count)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    int saved = 0, code = EX_OK;
    uint32_t inside = UINT32_MAX; /* depth of the message that is saved as a whole */
    while (code == EX_OK && mime_walk_next(&walk, &file->summary, &part)) {
        if (part.depth > inside && !count)
            continue;
        inside = UINT32_MAX;
        if (count ? !is_wanted(walk.number, numbers, count) : !mime_is_attachment(&part))
            continue;
        inside = part.depth;
        code = save(file, &part, walk.number, folder_name, folder);
        saved++;
    }
    if (code == EX_OK && !saved)
        cli_say(MSG_MIME_NOTHING);
    return code;
}

int mime_extract(const char *path, const char *folder_name, char **numbers, int count)
{
    struct mime_file file;
    int code = mime_file_open(&file, path, false);
    int folder = -1;
    if (code == EX_OK) {
        folder = open(folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
            cli_error(MSG_FILE_FAILED, folder_name, strerror(errno));
            code = EX_CANTCREAT;
        }
    }
    if (code == EX_OK && !all_there(&file, numbers, count))
        code = EX_DATAERR;
    if (code == EX_OK)
        code = save_all(&file, folder_name, folder, numbers, count);
    if (folder >= 0)
        close(folder);
    mime_file_done(&file);
    return code;
}
