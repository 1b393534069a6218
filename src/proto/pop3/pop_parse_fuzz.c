/* Whatever the line: what comes back lies inside it, and numbers are in range. */
#include "proto/pop3/pop_parse.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice line = slice_from(data, size), rest;
    enum pop_verb verb = pop_parse_verb(line, &rest);
    uint32_t number = 0, lines;
    struct slice range;
    if (pop_parse_language(rest, &range) == ERR_OK) {
        assert(range.len > 0);
        for (size_t i = 0; i < range.len; i++)
            assert(slice_at(range, i) > ' ' && slice_at(range, i) < 127);
        assert(slice_eq(slice_trim(rest), range));
    }
    if (verb != POP_UNKNOWN && rest.len) {
        assert(rest.ptr > line.ptr);
        assert(rest.ptr + rest.len == line.ptr + line.len);
    }
    enum err one = pop_parse_number(rest, &number);
    assert((one == ERR_OK) == (number > 0));
    number = 0;
    if (pop_parse_top(rest, &number, &lines) == ERR_OK)
        assert(number > 0);
    else
        assert(number == 0);
    return 0;
}
