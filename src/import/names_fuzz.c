/* Whatever a folder or a file is called: the mailbox can be shown and is found under the same name when it is written as a folder again; the rest is in range. */
#include "import/names.h"

#include "base/utf8.h"
#include "proto/imap/imap_utf7.h"
#include "store/store.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As a Maildir++ folder that Dovecot would make of it; a '.' in a level it would not. */
static void same_again(struct slice mailbox)
{
    struct buf folder, again;
    struct slice rest = mailbox, level;
    buf_init(&folder, 0);
    buf_init(&again, 0);
    while (slice_cut(&rest, '/', &level)) {
        if (buf_len(&folder))
            buf_addc(&folder, '\n');
        assert(imap_utf7_encode(level, &folder) == ERR_OK);
    }
    import_folder_name(buf_slice(&folder), '\n', &again);
    assert(slice_eq(buf_slice(&again), mailbox));
    buf_done(&folder);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice name = slice_from(data, size), keyword;
    struct buf out;
    unsigned letter;
    buf_init(&out, 0);
    import_folder_name(name, '.', &out);
    struct slice mailbox = buf_slice(&out);
    assert(utf8_valid(mailbox));
    assert(slice_find(mailbox, SLICE("//")) == SIZE_MAX);
    assert(mailbox.len == 0 || (mailbox.ptr[0] != '/' && mailbox.ptr[mailbox.len - 1] != '/'));
    for (size_t i = 0; i < mailbox.len; i++)
        assert(slice_at(mailbox, i) >= 0x20 && slice_at(mailbox, i) != 0x7f);
    same_again(mailbox);
    buf_done(&out);

    buf_init(&out, 0);
    import_exported_name(name, &out);
    assert(utf8_valid(buf_slice(&out)));
    assert(slice_find(buf_slice(&out), SLICE("//")) == SIZE_MAX);
    buf_done(&out);

    int64_t at = import_name_time(name);
    assert(at >= 0 && at <= UINT32_MAX);
    struct import_name_flags flags = import_name_flags(name);
    assert((flags.system & ~STORE_SYSTEM_FLAGS) == 0);
    assert(flags.letters < UINT32_C(1) << 26);
    if (import_keyword_line(name, &letter, &keyword) == ERR_OK)
        assert(letter < 26 && keyword.len > 0);
    return 0;
}
