/* Both sides of each border. */
#include "net/reach.h"

#include "base/test.h"

static void addresses(void **state)
{
    static const struct {
        const char *address;
        bool is_public;
    } rows[] = {
        { "0.0.0.0", false },
        { "0.255.255.255", false },
        { "1.0.0.0", true },
        { "9.255.255.255", true },
        { "10.0.0.0", false },
        { "10.255.255.255", false },
        { "11.0.0.0", true },
        { "100.63.255.255", true },
        { "100.64.0.0", false },
        { "100.127.255.255", false },
        { "100.128.0.0", true },
        { "126.255.255.255", true },
        { "127.0.0.1", false },
        { "128.0.0.0", true },
        { "169.253.255.255", true },
        { "169.254.169.254", false },
        { "169.255.0.0", true },
        { "172.15.255.255", true },
        { "172.16.0.0", false },
        { "172.31.255.255", false },
        { "172.32.0.0", true },
        { "192.0.0.9", false },
        { "192.0.1.0", true },
        { "192.167.255.255", true },
        { "192.168.0.0", false },
        { "192.169.0.0", true },
        { "198.17.255.255", true },
        { "198.18.0.0", false },
        { "198.19.255.255", false },
        { "198.20.0.0", true },
        { "223.255.255.255", true },
        { "224.0.0.1", false },
        { "255.255.255.255", false },
        { "::", false },
        { "::1", false },
        { "::ffff:10.0.0.1", false },
        { "::ffff:8.8.8.8", true },
        { "64:ff9b::127.0.0.1", false },
        { "64:ff9b::8.8.8.8", true },
        { "fc00::1", false },
        { "fd12::1", false },
        { "fe80::1", false },
        { "fec0::1", false },
        { "ff02::1", false },
        { "2000::1", true },
        { "2001::1", false },
        { "2001:db8::1", true },
        { "2002:7f00:1::", false },
        { "2002:808:808::", true },
        { "3fff:ffff::", true },
        { "4000::", false },
        { "", false },
        { "127.1", false },
        { "localhost", false },
        { "0x7f000001", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (reach_is_public(rows[i].address) != rows[i].is_public)
            fail_msg("%s: wanted %d", rows[i].address, rows[i].is_public);
    assert_true(reach_is_address("192.0.2.1"));
    assert_true(reach_is_address("2001:db8::1"));
    assert_false(reach_is_address("mail.example"));
    assert_false(reach_is_address("127.1"));
}

TEST_MAIN(cmocka_unit_test(addresses))
