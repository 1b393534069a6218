/* Texts of mbsync and offlineimap, as they are and as they never should be. */
#include "sync/adopt_text.h"

#include "base/test.h"

#include <string.h>

static void names_have_uids(void **state)
{
    static const struct {
        const char *base;
        uint32_t uid;
        const char *hash;
    } rows[] = {
        { "1795753576.10452_3.vm,U=3", 3, "" },
        { "1795753561_2.10173.vm,U=33,FMD5=7e33429f", 33, "7e33429f" },
        { "1795753561_2.10173.vm,FMD5=7e33429f,U=4", 4, "7e33429f" },
        { "1795753561.vm,S=120,U=4294967295", 4294967295u, "" },
        { "1795753561.vm,U=4294967296", 0, "" },
        { "1795753561.vm,U=", 0, "" },
        { "1795753561.vm,U=-1", 0, "" },
        { "1795753561.vm,U=1x", 0, "" },
        { "1795753561.vm,U=1,U=2", 0, "" },
        { "1795753561.vm,u=1", 0, "" },
        { "1795753561.vm", 0, "" },
        { "", 0, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (adopt_uid(slice_of(rows[i].base)) != rows[i].uid)
            fail_msg("%s", rows[i].base);
        assert_slice(
            rows[i].base, adopt_folder_hash(slice_of(rows[i].base)), slice_of(rows[i].hash));
    }
}

static void letters_are_flags(void **state)
{
    uint32_t flags = 99;
    (void)state;
    assert_ok(adopt_flags(SLICE("SR"), &flags));
    assert_int_equal(flags, SYNC_SEEN | SYNC_ANSWERED);
    assert_ok(adopt_flags(SLICE(""), &flags));
    assert_int_equal(flags, 0);
    assert_int_equal(adopt_flags(SLICE("Sa"), &flags), ERR_SYNTAX);
    assert_int_equal(adopt_flags(slice_from("\0", 1), &flags), ERR_SYNTAX);
}

#define HEAD "FarUidValidity 17\nNearUidValidity 1690000000\nMaxPulledUid 9\nMaxPushedUid 9\n\n"

static void mbsync_states(void **state)
{
    struct arena arena;
    struct adopt_state s = { .count = 0 };
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_ok(adopt_mbsync(SLICE(HEAD "1 2 \n3 4 FS\n5 6 >S\n7 8 <\n9 10 ~S\n11 12 ^\n13 14 XS\n0 "
                                      "15 \n16 0 \n17 18\n19 20 Sq\n"),
        &arena, &s));
    assert_int_equal(s.far_uidvalidity, 17);
    assert_int_equal(s.near_uidvalidity, 1690000000);
    static const struct adopt_entry wanted[] = { { 1, 2, 0, ADOPT_PAIR },
        { 3, 4, SYNC_FLAGGED | SYNC_SEEN, ADOPT_PAIR }, { 5, 6, 0, ADOPT_PLACEHOLDER },
        { 7, 8, 0, ADOPT_OTHER }, { 9, 10, 0, ADOPT_OTHER }, { 11, 12, 0, ADOPT_OTHER },
        { 13, 14, 0, ADOPT_OTHER }, { 0, 15, 0, ADOPT_OTHER }, { 16, 0, 0, ADOPT_OTHER },
        { 17, 18, 0, ADOPT_PAIR }, { 19, 20, 0, ADOPT_OTHER } };
    assert_int_equal(s.count, sizeof wanted / sizeof wanted[0]);
    for (size_t i = 0; i < s.count; i++)
        assert_memory_equal(&s.entries[i], &wanted[i], sizeof wanted[i]);
    struct adopt_state old = { .count = 0 };
    assert_ok(adopt_mbsync(
        SLICE("MasterUidValidity 1\nSlaveUidValidity 2\nMaxPulledUid 0\n\n"), &arena, &old));
    assert_int_equal(old.far_uidvalidity, 1);
    assert_int_equal(old.near_uidvalidity, 2);
    static const char *const bad[] = { "", "\n", HEAD "1 2 ", HEAD "1\n", HEAD "1 x \n",
        HEAD "4294967296 1 \n", "FarUidValidity 17\n\n1 1 \n", "NearUidValidity 17\n\n",
        "FarUidValidity x\nNearUidValidity 1\n\n", "FarUidValidity 17\nNearUidValidity 1\n",
        HEAD "\n", "1 1 \n2 2 \n" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct adopt_state none = { .count = 0 };
        if (adopt_mbsync(slice_of(bad[i]), &arena, &none) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    }
    arena_done(&arena);
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(adopt_number(SLICE("1795753576\n10\n")), 1795753576);
    assert_int_equal(adopt_number(SLICE("17")), 17);
    assert_int_equal(adopt_number(SLICE("")), 0);
    assert_int_equal(adopt_number(SLICE("x\n1\n")), 0);
    assert_int_equal(adopt_number(SLICE("99999999999\n")), 0);
}

static const char config[] = "# mail\n[general]\naccounts = Main, Other\n"
                             "[Account Main]\nlocalrepository = L1\nremoterepository: R1\n"
                             "[Account Other]\nlocalrepository = L2\nremoterepository = R2\n"
                             "[Repository L1]\ntype = Maildir\nlocalfolders = ~/Mail/main/\n"
                             "[Repository L2]\nlocalfolders = /srv/other\n"
                             "[Repository R1]\nremotehost = imap.example.org\n  folded = x\n";

static void offlineimap_configurations(void **state)
{
    struct arena arena;
    struct adopt_offlineimap found;
    struct slice home = SLICE("/home/salma");
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_ok(adopt_offlineimap_config(
        slice_of(config), home, SLICE("/home/salma/Mail/main"), &arena, &found));
    assert_slice("account", found.account, SLICE("Main"));
    assert_slice("remote", found.remote, SLICE("R1"));
    assert_slice("metadata", found.metadata, SLICE("/home/salma/.offlineimap"));
    assert_ok(
        adopt_offlineimap_config(slice_of(config), home, SLICE("/srv/other/"), &arena, &found));
    assert_slice("account", found.account, SLICE("Other"));
    assert_int_equal(
        adopt_offlineimap_config(slice_of(config), home, SLICE("/srv"), &arena, &found),
        ERR_NOT_FOUND);
    static const char *const bad[] = { "", "[", "[Repository L]\nlocalfolders = /m\n",
        "[Repository L]\nlocalfolders = /m\n[Account A]\nlocalrepository = L\n",
        "[Repository L]\nlocalfolders = /m\n[Account A]\nlocalrepository = L\nremoterepository = "
        "R\n"
        "[Account B]\nlocalrepository = L\nremoterepository = R\n",
        "[Repository L]\nlocalfolders = /m\n[Account ../A]\nlocalrepository = L\nremoterepository "
        "= R\n",
        "[Repository L]\nlocalfolders = /m\n[Repository K]\nlocalfolders = /m\n"
        "[Account A]\nlocalrepository = L\nremoterepository = R\n" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (adopt_offlineimap_config(slice_of(bad[i]), home, SLICE("/m"), &arena, &found) !=
            ERR_NOT_FOUND)
            fail_msg("%s", bad[i]);
    assert_ok(adopt_offlineimap_config(
        SLICE("[general]\nmetadata = ~/.cache/oi\n[Repository L]\nlocalfolders = /m\n[Account A]\n"
              "localrepository = L\nremoterepository = R\n"),
        home, SLICE("/m"), &arena, &found));
    assert_slice("metadata", found.metadata, SLICE("/home/salma/.cache/oi"));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_uids),
        cmocka_unit_test(letters_are_flags),
        cmocka_unit_test(mbsync_states),
        cmocka_unit_test(numbers),
        cmocka_unit_test(offlineimap_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
