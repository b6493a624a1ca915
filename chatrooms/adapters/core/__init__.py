"""The compiled data plane behind the ports; nothing outside this package names the extension."""

from chatrooms.adapters.core.gateway import CoreGateway
from chatrooms.adapters.core.node import CoreSettings, open_core
from chatrooms.adapters.core.scanner import CoreScanner

__all__ = ["CoreGateway", "CoreScanner", "CoreSettings", "open_core"]
