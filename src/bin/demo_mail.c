/* Reads data/demo/all.txt out of the program.
 *
 * The container: for each message one header line, then its bytes, then a line end.
 *
 *     ACCOUNT TAB FOLDER TAB FLAGS TAB AGE_S TAB BYTES LF
 *     BYTES bytes, CRLF line ends, LF
 *
 * tools/demo-pack writes it and checks it; a container that does not fit this grammar is our own mistake. */
#include "bin/demo_mail.h"

#include <assert.h>

/* The assembler puts the file into the read-only data as it is; building needs no other tool. */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global barid_demo_mail\n"
        "barid_demo_mail:\n"
        ".incbin \"data/demo/all.txt\"\n"
        ".global barid_demo_mail_end\n"
        "barid_demo_mail_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char barid_demo_mail[];
extern const char barid_demo_mail_end[];

bool demo_mail_next(size_t *cursor, struct demo_mail *out_mail)
{
    struct slice rest =
        slice_from(barid_demo_mail, (size_t)(barid_demo_mail_end - barid_demo_mail));
    rest = slice_from_index(rest, *cursor);
    if (rest.len == 0)
        return false;

    struct slice line = SLICE_EMPTY;
    struct slice field[5];
    bool ok = slice_cut(&rest, '\n', &line);
    assert(ok);
    size_t used = line.len + 1;
    for (size_t i = 0; i < 5; i++) {
        field[i] = SLICE_EMPTY;
        (void)slice_cut(&line, '\t', &field[i]);
    }
    uint64_t age_s = 0, bytes = 0;
    enum err age_err = slice_to_u64(field[3], INT64_MAX, &age_s);
    enum err bytes_err = slice_to_u64(field[4], rest.len, &bytes);
    assert(age_err == ERR_OK);
    assert(bytes_err == ERR_OK);

    out_mail->account = field[0];
    out_mail->folder = field[1];
    out_mail->flags = field[2];
    out_mail->age_s = (int64_t)age_s;
    out_mail->message = slice_sub(rest, 0, (size_t)bytes);
    *cursor += used + (size_t)bytes + 1;
    return true;
}
