/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a name to an ethdev port: one that is there, or one made by probing a PCI device or a virtual device. Every refusal is one line. Knows nothing of queues.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>

#include "ethdev/priv.h"

#define PCI_FOLDER "/sys/bus/pci/devices"

bool
ethdev_port_exists(const char *name)
{
	uint16_t id;

	return name[0] != '\0' && rte_eth_dev_get_port_by_name(name, &id) == 0;
}

/* "0000:03:00.0", as ifres writes it. */
static bool
is_pci(const char *dev)
{
	size_t n = strspn(dev, "0123456789abcdef");

	return n >= 4 && n <= 8 && dev[n] == ':' && strlen(dev + n) == 8 && dev[n + 3] == ':' && dev[n + 6] == '.';
}

static uint16_t
pci_id(const char *dev, const char *file)
{
	char path[128];
	char text[16];
	FILE *f;

	snprintf(path, sizeof(path), PCI_FOLDER "/%s/%s", dev, file);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	return (uint16_t)strtoul(text, NULL, 16);
}

/* Is the device there, and is it ours to take? */
static int
pci_check(const char *dev, const struct zf_log *log)
{
	char path[128];
	char driver[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_FOLDER "/%s", dev);
	if (access(path, F_OK) < 0) {
		zf_err(log, LC_CPLANE, "interface %s: there is no PCI device of that address; see `lspci -D`", dev);
		return -ENODEV;
	}
	snprintf(path, sizeof(path), PCI_FOLDER "/%s/driver", dev);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n > 0 ? n : 0] = '\0';
	base = strrchr(driver, '/') != NULL ? strrchr(driver, '/') + 1 : driver;
	/* mlx5 works beside its kernel driver, all others need the device for themselves. */
	if (n > 0 && strncmp(base, "vfio", 4) != 0 && strncmp(base, "mlx", 3) != 0 && strstr(base, "uio") == NULL) {
		zf_err(log, LC_CPLANE,
		       "interface %s: the kernel's driver %s has the device; bind it to vfio-pci "
		       "(dpdk-devbind.py -b vfio-pci %s) or name its Linux interface instead",
		       dev, base, dev);
		return -EBUSY;
	}
	return 0;
}

/* What DPDK returned, as one of our codes. Many drivers return -1 for any failure, so that is no -EPERM. */
static int
probe_code(int rc)
{
	if (rc == -EACCES || rc == -EBUSY || rc == -ENOMEM)
		return rc;
	return -ENODEV;
}

/* Makes the device and finds its port. @what: as the user wrote it. */
static int
probe_device(struct ethdev_port *p, const char *dev, const char *devargs, const char *what)
{
	char said[DPDKLOG_MAX];
	int rc;

	dpdklog_begin();
	rc = rte_dev_probe(devargs);
	if (rc == 0 && rte_eth_dev_get_port_by_name(dev, &p->port_id) < 0)
		rc = -ENODEV;
	dpdklog_end(said);
	if (rc == 0) {
		p->probed = true;
		return 0;
	}
	zf_err(p->host->log, LC_CPLANE,
	       "interface %s: DPDK cannot make a port of it (error %d%s); check the name, its arguments, and the "
	       "permissions that the device needs",
	       what, rc, said);
	return probe_code(rc);
}

static int
refuse_simple(const struct ethdev_port *p, const char *spec)
{
	zf_err(p->host->log, LC_CPLANE,
	       "interface %s: tx_datapath=ef10_simple is refused: it sends from buffers that TCP keeps for retransmission "
	       "without counting its references; leave the key out, or say tx_datapath=ef10",
	       spec);
	return -EINVAL;
}

static int
probe_pci(struct ethdev_port *p, const char *dev, const char *spec)
{
	const char *profile = ethdev_profile(pci_id(dev, "vendor"), pci_id(dev, "device"));
	const char *user = strchr(spec, ',') != NULL ? strchr(spec, ',') + 1 : "";
	char devargs[512];
	int rc = pci_check(dev, p->host->log);

	if (rc < 0)
		return rc;
	if (ethdev_args_forbidden(user))
		return refuse_simple(p, spec);
	if (ethdev_devargs(dev, user, profile, devargs, sizeof(devargs)) < 0) {
		zf_err(p->host->log, LC_CPLANE, "interface %s: its arguments are too long", spec);
		return -EINVAL;
	}
	snprintf(p->profile, sizeof(p->profile), "%s", profile);
	return probe_device(p, dev, devargs, spec);
}

/* One that was there before: with arguments of the application's own. */
static int
existing(const struct ethdev_port *p, const char *spec)
{
	const struct rte_devargs *args = NULL;
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(p->port_id, &info) == 0 && info.device != NULL)
		args = rte_dev_devargs(info.device);
	return args != NULL && ethdev_args_forbidden(args->args) ? refuse_simple(p, spec) : 0;
}

static int
find_or_probe(struct ethdev_port *p, const char *spec)
{
	char dev[RTE_DEV_NAME_MAX_LEN];
	size_t len = strcspn(spec, ",");

	if (len >= sizeof(dev)) {
		zf_err(p->host->log, LC_CPLANE, "interface %s: the name is too long for DPDK", spec);
		return -ENODEV;
	}
	memcpy(dev, spec, len);
	dev[len] = '\0';
	if (rte_eth_dev_get_port_by_name(dev, &p->port_id) == 0)
		return existing(p, spec);
	return is_pci(dev) ? probe_pci(p, dev, spec) : probe_device(p, dev, spec, spec);
}

/* Nobody else may use the port while we do; a port that its application has started is taken already. */
static int
port_take(struct ethdev_port *p)
{
	struct rte_eth_dev_owner owner = {0};
	char said[DPDKLOG_MAX];
	int rc = rte_eth_dev_owner_new(&p->owner);

	owner.id = p->owner;
	snprintf(owner.name, sizeof(owner.name), "zf");
	dpdklog_begin();
	if (rc == 0)
		rc = rte_eth_dev_owner_set(p->port_id, &owner);
	dpdklog_end(said);
	if (rc == 0)
		return 0;
	zf_err(p->host->log, LC_CPLANE,
	       "interface %s: the port belongs to another part of the process (error %d%s); use another port",
	       p->spec, rc, said);
	return -EBUSY;
}

int
ethdev_probe(struct ethdev_port *p, const char *spec)
{
	int rc = find_or_probe(p, spec);

	if (rc < 0)
		return rc;
	rc = port_take(p);
	if (rc < 0 && p->probed)
		ethdev_unprobe(p);
	return rc;
}

void
ethdev_unprobe(struct ethdev_port *p)
{
	struct rte_eth_dev_info info;
	struct rte_device *device = NULL;
	char said[DPDKLOG_MAX];

	if (rte_eth_dev_info_get(p->port_id, &info) == 0)
		device = info.device;
	dpdklog_begin(); /* an adapter that was pulled out has much to say here */
	rte_eth_dev_owner_unset(p->port_id, p->owner);
	if (p->probed) {
		rte_eth_dev_close(p->port_id);
		if (device != NULL)
			rte_dev_remove(device);
	}
	dpdklog_end(said);
}
