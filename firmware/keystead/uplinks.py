"""Uplinks: what config.json may say of Ethernet and modems.

Owns their rules, written as in keystead.configuration, which loads this only for those who have
one. The names of Ethernet's members are those of MicroPython's network.LAN.
"""

_ETHERNET = "phy!:b1-16,phy_addr:0-31,power:0-54,reset:0-54,"
_RMII = "mdc!:0-54,mdio!:0-54,ref_clk:0-54,ref_clk_mode:in|out"
_SPI = "spi!:1-2,sck!:0-54,mosi!:0-54,miso!:0-54,cs!:0-54,int!:0-54"
_CELLULAR = (
    "uart!:1-2,tx!:0-54,rx!:0-54,baud:1200-5000000,apn!:b1-100,user:b1-64,password:b1-64,pin:b4-8"
)


def rules(kind: str, link: object) -> str:
    """Return the rules of one kind of network, for what config.json says of it."""
    if kind == "cellular":
        return _CELLULAR
    return _ETHERNET + (_SPI if isinstance(link, dict) and "spi" in link else _RMII)
