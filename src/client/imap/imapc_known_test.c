#include "base/test.h"
#include "client/imap/imapc_known.h"

static struct imapc_numbers numbers(
    uint32_t uidvalidity, uint32_t uidnext, uint32_t messages, uint64_t modseq)
{
    return (struct imapc_numbers){ uidvalidity, uidnext, messages, modseq };
}

static bool differs(const struct imapc_known *known, const char *name, struct imapc_numbers now)
{
    return imapc_known_differs(known, slice_of(name), &now);
}

static void test_each_number_counts(void **state)
{
    struct imapc_known known;
    struct imapc_numbers was = numbers(7, 20, 5, 90);
    (void)state;
    imapc_known_init(&known);
    imapc_known_set(&known, SLICE("Work"), &was);
    assert_false(differs(&known, "Work", was));
    assert_true(differs(&known, "Work", numbers(8, 20, 5, 90)));
    assert_true(differs(&known, "Work", numbers(7, 21, 5, 90)));
    assert_true(differs(&known, "Work", numbers(7, 20, 4, 90)));
    assert_true(differs(&known, "Work", numbers(7, 20, 5, 91)));
    assert_true(differs(&known, "work", was)); /* another mailbox, and not a known one */
    imapc_known_done(&known);
}

static void test_what_was_not_told_tells_nothing(void **state)
{
    struct imapc_known known;
    struct imapc_numbers few = numbers(7, 0, 5, 0), unwanted = { 0 };
    (void)state;
    imapc_known_init(&known);
    imapc_known_set(&known, SLICE("Work"), &few);
    imapc_known_set(&known, SLICE("Lists"), &unwanted);
    assert_false(differs(&known, "Work", numbers(7, 21, 5, 91)));
    assert_true(differs(&known, "Work", numbers(7, 0, 6, 0)));
    assert_false(differs(&known, "Work", unwanted));
    assert_false(differs(&known, "Lists", numbers(7, 21, 5, 91)));
    imapc_known_done(&known);
}

static void test_inbox_in_any_case_and_set_again(void **state)
{
    struct imapc_known known;
    struct imapc_numbers first = numbers(7, 20, 5, 90), second = numbers(7, 21, 6, 91);
    (void)state;
    imapc_known_init(&known);
    imapc_known_set(&known, SLICE("InBox"), &first);
    imapc_known_set(&known, SLICE("INBOX"), &second);
    assert_false(differs(&known, "inbox", second));
    assert_true(differs(&known, "inbox", first));
    imapc_known_clear(&known);
    assert_true(differs(&known, "INBOX", second));
    imapc_known_done(&known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_number_counts),
        cmocka_unit_test(test_what_was_not_told_tells_nothing),
        cmocka_unit_test(test_inbox_in_any_case_and_set_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
