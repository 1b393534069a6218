/* What is printed to be copied into a shell is one word of it. */
#include "bin/cli.h"

#include "base/test.h"

#include <stdlib.h>

static void words_of_a_shell(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        { "salma.b+x_-1@barid.test", "salma.b+x_-1@barid.test" },
        { "Salma-9+x.y@barid.test", "Salma-9+x.y@barid.test" },
        { "", "''" },
        { "x`id`${a}&b@barid.test", "'x`id`${a}&b@barid.test'" },
        { "o'neil@barid.test", "'o'\\''neil@barid.test'" },
        { "''", "''\\'''\\'''" },
        { "two words", "'two words'" },
        { "a\\b", "'a\\b'" },
        { "a\nb", "'a\nb'" },
        { "سلمى@barid.test", "'سلمى@barid.test'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *word = cli_word(rows[i].text);
        assert_string_equal(word, rows[i].wanted);
        free(word);
    }
}

TEST_MAIN(cmocka_unit_test(words_of_a_shell))
