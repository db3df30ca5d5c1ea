"""Ethernet: bring up the PHY or the SPI chip that config.json describes.

Owns how its members become the arguments of network.LAN. Loaded only where there is one.
"""

import machine
import network

from keystead.failure import Failure

_LIMIT = 15  # seconds: the PHY agrees with the switch, then comes DHCP


def join(link, wait, doubt):
    """Return the interface once cable and address are there."""
    try:
        lan = network.LAN(**_arguments(dict(link)))
        lan.active(True)
    # no such PHY, or none at all, in this build, or no such pin on this chip
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Failure("network-down", "ethernet: %s" % error)
    if wait(lan.isconnected, _LIMIT):
        return lan
    status = lan.status()
    lan.active(False)
    why = "no address" if status == network.ETH_CONNECTED else "no cable"
    raise Failure("network-down", "ethernet: " + why, status)


def _arguments(link: dict) -> dict:
    link["phy_type"] = getattr(network, "PHY_" + link.pop("phy"))
    link.setdefault("phy_addr", 0)
    if "ref_clk_mode" in link:
        link["ref_clk_mode"] = getattr(machine.Pin, link["ref_clk_mode"].upper())
    if "spi" in link:
        lines = {name: link.pop(name) for name in ("sck", "mosi", "miso")}
        link["spi"] = machine.SPI(link["spi"], **lines)
    return link
