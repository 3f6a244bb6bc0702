/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lib/stack/ifres: each kind of `interface`, each refusal and what its line says. The interfaces of the machine are
 * played by a table.
 */
#include "stack/ifres.h"
#include "core/attr.h"
#include "stack/netlink.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct netlink_link links[] = {
	{.index = 1, .name = "lo", .flags = IFF_LOOPBACK},
	{.index = 3, .name = "v0", .lower = 2, .kind = "veth"},
	{.index = 7, .name = "v0.100", .lower = 3, .vlan = 100, .kind = "vlan"},
	{.index = 8, .name = "v0.100.7", .lower = 7, .vlan = 7, .kind = "vlan"},
	{.index = 9, .name = "far.9", .vlan = 9, .kind = "vlan"},
	{.index = 10, .name = "net_odd"},
	{.index = 11, .name = "both"},
};

static bool
has_port(void *opaque ZF_UNUSED, const char *name)
{
	return strcmp(name, "net_ring7") == 0 || strcmp(name, "both") == 0 || strcmp(name, "app_port") == 0 ||
	       strcmp(name, "0000:05:00.0") == 0;
}

static int
has_link(void *opaque, const char *name, int index, struct netlink_link *out)
{
	if (opaque != NULL)
		return *(int *)opaque;
	for (size_t i = 0; i < ZF_ARRAY_SIZE(links); i++) {
		if (index != 0 ? index == links[i].index : name != NULL && strcmp(name, links[i].name) == 0) {
			*out = links[i];
			return 0;
		}
	}
	return -ENODEV;
}

static const struct ifres_env env = {.port_exists = has_port, .link = has_link};

static void
every_kind_is_recognised(void)
{
	static const struct {
		const char *text;
		enum ifres_kind kind;
		const char *driver, *name, *spec;
		int vlan, if_index;
	} t[] = {
		{"wire:loop", IFRES_WIRE, "wire", "wire:loop", "wire:loop", 0, 0},
		{"wire:x/a", IFRES_WIRE, "wire", "wire:x/a", "wire:x/a", 0, 0},
		{"wire:x/b", IFRES_WIRE, "wire", "wire:x/b", "wire:x/b", 0, 0},
		{"wire:/run/w", IFRES_WIRE, "wire", "wire:/run/w", "wire:/run/w", 0, 0},
		{"wire:./w", IFRES_WIRE, "wire", "wire:./w", "wire:./w", 0, 0},
		{"wire:./a,b/c", IFRES_WIRE, "wire", "wire:./a,b/c", "wire:./a,b/c", 0, 0},
		{"mem:0", IFRES_MEM, "mem", "mem:0", "mem:0", 0, 0},
		{"0000:03:00.1", IFRES_PCI, "ethdev", "0000:03:00.1", "0000:03:00.1", 0, 0},
		{"3:0.1", IFRES_PCI, "ethdev", "0000:03:00.1", "0000:03:00.1", 0, 0},
		{"03:1F.7,a=1,b=2", IFRES_PCI, "ethdev", "0000:03:1f.7", "0000:03:1f.7,a=1,b=2", 0, 0},
		{"AbCd:Ef:00.0", IFRES_PCI, "ethdev", "abcd:ef:00.0", "abcd:ef:00.0", 0, 0},
		{"10000:01:00.0", IFRES_PCI, "ethdev", "10000:01:00.0", "10000:01:00.0", 0, 0},
		{"05:00.0,a=1", IFRES_PORT, "ethdev", "0000:05:00.0", "0000:05:00.0", 0, 0},
		{"net_null0", IFRES_VDEV, "ethdev", "net_null0", "net_null0", 0, 0},
		{"net_tap3,iface=t3,mac=fixed", IFRES_VDEV, "ethdev", "net_tap3", "net_tap3,iface=t3,mac=fixed", 0, 0},
		{"net_odd", IFRES_VDEV, "ethdev", "net_odd", "net_odd", 0, 0},
		{"net_ring7", IFRES_PORT, "ethdev", "net_ring7", "net_ring7", 0, 0},
		{"net_ring7,nodeaction=r:0:CREATE", IFRES_PORT, "ethdev", "net_ring7", "net_ring7", 0, 0},
		{"app_port", IFRES_PORT, "ethdev", "app_port", "app_port", 0, 0},
		{"both", IFRES_PORT, "ethdev", "both", "both", 0, 0},
		{"v0", IFRES_NETDEV, "af_packet", "af_packet:v0", "af_packet:v0", 0, 3},
		{"v0.100", IFRES_NETDEV, "af_packet", "af_packet:v0", "af_packet:v0", 100, 3},
		{"ef_vi:v0", IFRES_EF_VI, "ef_vi", "ef_vi:v0", "ef_vi:v0", 0, 3},
		{"ef_vi:v0.100", IFRES_EF_VI, "ef_vi", "ef_vi:v0", "ef_vi:v0", 100, 3},
		{"softvi:0", IFRES_SOFTVI, "softvi", "softvi:0", "softvi:0", 0, 0},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct ifres r = {0};
		char why[256] = "";

		CU_ASSERT_EQUAL(ifres_classify(t[i].text, &env, &r, why, sizeof(why)), 0);
		CU_ASSERT_EQUAL(r.kind, t[i].kind);
		CU_ASSERT_STRING_EQUAL(r.driver, t[i].driver);
		CU_ASSERT_STRING_EQUAL(r.name, t[i].name);
		CU_ASSERT_STRING_EQUAL(r.spec, t[i].spec);
		CU_ASSERT_EQUAL(r.vlan, t[i].vlan);
		CU_ASSERT_EQUAL(r.if_index, t[i].if_index);
		if (why[0] != '\0' || strcmp(r.spec, t[i].spec) != 0)
			printf("  %s: %s %s\n", t[i].text, r.spec, why);
	}
}

static void
every_refusal_says_what_to_do(void)
{
	static const struct {
		const char *text;
		const char *why;
	} t[] = {
		{NULL, "not set"},
		{"", "not set"},
		{"eth9", "no Linux interface"},
		{"a_name_too_long_for_linux", "no Linux interface"},
		{"v0,x=1", "no Linux interface"}, /* devargs mean nothing to one */
		{"03:00.8", "no Linux interface"},
		{"03:20.0", "no Linux interface"},
		{"03:00", "no Linux interface"},
		{"0000:03:00.0x", "no Linux interface"},
		{"lo", "use wire:loop"},
		{"v0.100.7", "one VLAN device on another"},
		{"far.9", "not in this network namespace"},
		{",a=1", "no name before the comma"},
		{"wire:", "a wire is"},
		{"wire:x", "a wire is"},
		{"wire:/", "a wire is"},
		{"wire:./", "a wire is"},
		{"wire:../w", "a wire is"},
		{"wire:x/c", "a wire is"},
		{"wire:x/y/a", "a wire is"},
		{"wire:x/", "a wire is"},
		{"ef_vi:", "no Linux interface"},
		{"ef_vi:eth9", "no Linux interface"},
		{"ef_vi:lo", "use wire:loop"},
	};
	struct ifres untouched;
	struct ifres r;

	memset(&r, 0x5a, sizeof(r));
	untouched = r;
	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		char why[256] = "";

		CU_ASSERT_EQUAL(ifres_classify(t[i].text, &env, &r, why, sizeof(why)), -ENODEV);
		CU_ASSERT_EQUAL(memcmp(&r, &untouched, sizeof(r)), 0);
		if (strstr(why, t[i].why) == NULL)
			printf("  %s: %s\n", t[i].text != NULL ? t[i].text : "NULL", why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, t[i].why));
	}
}

static void
names_of_any_length_are_safe(void)
{
	static const char *const fronts[] = {"", "net_", "wire:/", "mem:", "net_x,", "03:00.0,", "wire:"};
	char text[4096];

	for (size_t f = 0; f < ZF_ARRAY_SIZE(fronts); f++) {
		for (size_t n = 1; n < sizeof(text) - 16; n += n < 300 ? 1 : 777) {
			size_t at = (size_t)snprintf(text, sizeof(text), "%s", fronts[f]);
			char why[64];
			struct ifres r;
			int rc;

			memset(text + at, 'y', n);
			text[at + n] = '\0';
			rc = ifres_classify(text, &env, &r, why, sizeof(why));
			CU_ASSERT_TRUE(rc == -ENODEV || (rc == 0 && strlen(r.spec) == (r.kind == IFRES_PCI ? 5 : 0) + at + n));
		}
	}
}

static void
an_error_of_asking_passes_through(void)
{
	int error = -EMFILE;
	struct ifres_env broken = env;
	char why[256] = "";
	struct ifres r;

	broken.opaque = &error;
	CU_ASSERT_EQUAL(ifres_classify("eth0", &broken, &r, why, sizeof(why)), -EMFILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "cannot be asked"));
}

static void
addresses_of_the_kernel_are_refused(void)
{
	const struct netlink_addr owned[] = {
		{.index = 1, .addr = {inet_addr("127.0.0.1")}, .prefix_len = 8},
		{.index = 3, .addr = {inet_addr("10.9.0.1")}, .prefix_len = 24},
		{.index = 4, .addr = {inet_addr("10.8.0.1")}, .prefix_len = 24},
	};
	static const struct {
		const char *ipv4;
		int if_index;
		bool refused;
	} t[] = {
		{NULL, 3, true},            /* the interface has an address, the stack none of its own */
		{"", 3, true},
		{NULL, 5, false},           /* an interface without addresses */
		{"10.9.0.1/24", 3, true},
		{"10.9.0.1", 3, true},
		{"10.8.0.1/24", 3, true},   /* another interface's: the kernel answers for it all the same */
		{"10.9.0.2/24", 3, false},
		{"10.9.0.2/24,10.9.0.1/24", 3, true},
		{"10.9.0.2/24,10.9.0.3/24,", 3, false},
		{"10.9.0.11/24", 3, false},
		{"nonsense", 3, false},     /* refused by the reader of the list */
		{"10.9.0.100000000000000000000/24", 3, false},
		{",,,", 3, false},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		char why[256] = "";
		int rc = ifres_check_ipv4(t[i].ipv4, "eth7", t[i].if_index, owned, 3, why, sizeof(why));

		CU_ASSERT_EQUAL(rc, t[i].refused ? -EINVAL : 0);
		CU_ASSERT_EQUAL(strstr(why, "ipv4=") != NULL, t[i].refused);
	}
}

static bool
no_port(const char *name ZF_UNUSED)
{
	return false;
}

/* The whole of it on this machine: one line for each refusal, and nothing but that. */
static void
resolve_logs_exactly_one_line(void)
{
	static const struct {
		const char *env;
		int rc;
		const char *named;
	} t[] = {
		{"", -ENODEV, "interface=: it is not set"},
		{"interface=nosuch0", -ENODEV, "interface=nosuch0: there is no Linux interface"},
		{"interface=lo", -ENODEV, "loopback"},
		{"interface=wire:x", -ENODEV, "a wire is"},
		{"interface=wire:loop", 0, ""},
		{"interface=wire:loop;vlan=7", 0, ""},
	};
	struct zf_log l = {.level_mask = LOG_MASK_DEFAULT};
	char text[2048];

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct zf_attr *a;
		struct ifres r = {0};
		ssize_t n;

		setenv("ZF_ATTR", t[i].env, 1);
		CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&a), 0);
		unsetenv("ZF_ATTR");
		l.fd = memfd_create("lines", 0);
		CU_ASSERT_EQUAL(ifres_resolve(a, no_port, &l, &r), t[i].rc);
		n = pread(l.fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		CU_ASSERT_PTR_NOT_NULL(strstr(text, t[i].named));
		CU_ASSERT_EQUAL(n > 0 && strchr(text, '\n') == text + n - 1, t[i].rc < 0);
		if (t[i].rc == 0)
			CU_ASSERT_EQUAL(r.vlan, a->vlan);
		log_fini(&l);
		zf_attr_free(a);
	}
}

static const struct unit_test tests[] = {
	UNIT(every_kind_is_recognised),
	UNIT(every_refusal_says_what_to_do),
	UNIT(names_of_any_length_are_safe),
	UNIT(an_error_of_asking_passes_through),
	UNIT(addresses_of_the_kernel_are_refused),
	UNIT(resolve_logs_exactly_one_line),
};

UNIT_MAIN("test_ifres", tests)
