/* A message that was written into an mbox comes out of it as it went in: mboxrd loses nothing. And whatever the file holds, it can be read to its end. */
#include "import/lines.h"
#include "import/mbox.h"

#include <assert.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(struct slice bytes)
{
    int fd = memfd_create("mbox", MFD_CLOEXEC);
    assert(write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
    assert(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* Gives what stands behind the first line that begins a message, up to the next such line; counts these. */
static size_t read_first(struct slice file, struct buf *out)
{
    struct import_lines lines;
    struct import_piece piece;
    struct import_mbox m;
    int64_t at;
    size_t count = 0;
    int fd = file_of(file);
    import_lines_init(&lines, fd);
    import_mbox_init(&m, IMPORT_MBOXRD);
    while (import_lines_next(&lines, &piece) == ERR_OK) {
        if (piece.begins && piece.ends && import_mbox_from(piece.bytes, &at)) {
            count++;
            import_mbox_end(&m);
            import_mbox_begin(&m);
        } else if (count == 1) {
            import_mbox_piece(&m, piece.bytes, piece.begins, out);
        }
    }
    import_mbox_end(&m);
    import_mbox_done(&m);
    import_lines_done(&lines);
    close(fd);
    return count;
}

/* As a program that delivers writes it. */
static void write_message(struct slice message, struct buf *out)
{
    buf_adds(out, "From a@b Thu Nov 26 21:06:54 2026\n");
    while (message.len > 0) {
        size_t len = slice_index(message, '\n');
        struct slice line = slice_sub(message, 0, len + (len < message.len)), bare = line;
        message = slice_from_index(message, line.len);
        while (bare.len > 0 && bare.ptr[0] == '>')
            bare = slice_from_index(bare, 1);
        if (slice_starts(bare, SLICE("From ")))
            buf_addc(out, '>');
        buf_add(out, line);
    }
    buf_addc(out, '\n');
}

/* A date is what the C library makes of it. */
static void check_date(struct slice line)
{
    int64_t at, again;
    char text[64];
    struct tm tm;
    if (!import_mbox_from(line, &at))
        return;
    time_t when = (time_t)at;
    assert(at >= 0 && gmtime_r(&when, &tm));
    assert(strftime(text, sizeof text, "From x %a %b %e %H:%M:%S %Y", &tm) > 0);
    assert(import_mbox_from(slice_of(text), &again));
    assert(again == at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_date(slice_from(data, size));
    struct buf message, file, got;
    buf_init(&message, 0);
    buf_init(&file, 0);
    buf_init(&got, 0);
    (void)read_first(slice_from(data, size), &got);
    buf_clear(&got);

    buf_adds(&message, "A: b\n\n");
    buf_add(&message, slice_from(data, size));
    if (size > 0 && data[size - 1] != '\n')
        buf_addc(&message, '\n');
    write_message(buf_slice(&message), &file);
    assert(read_first(buf_slice(&file), &got) == 1);
    assert(slice_eq(buf_slice(&got), buf_slice(&message)));
    buf_done(&message);
    buf_done(&file);
    buf_done(&got);
    return 0;
}
