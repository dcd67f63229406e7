"""Rotates the secret id with which the broker logs in at the vault; it is delivered wrapped."""

import httpx

from deploy.private_files import write_private
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.delivery import NotDelivered, deliver, end_earlier, receive


async def rotate_login(place: Surroundings) -> None:
    """Replace the broker's secret id; after it, earlier ones and their tokens are worth nothing.

    An interrupted rotation leaves an unused secret id, which the next rotation destroys.
    """
    async with place.vault() as client:
        try:
            await _rotate(place, client)
        except NotDelivered as error:
            raise RotationFailed(str(error)) from None


async def _rotate(place: Surroundings, client: httpx.AsyncClient) -> None:
    delivery = await deliver(client)
    place.tell("the vault has wrapped a new secret id; the broker's side opens it, once")
    received = await receive(client, delivery)
    write_private(place.keys / "broker.role_id", delivery.role_id.encode())
    write_private(place.keys / "broker.secret_id", received.secret_id.encode())
    await place.roll("vault-broker")
    await end_earlier(client, received.secret_id_accessor)
    place.tell("earlier secret ids and their tokens are destroyed")
