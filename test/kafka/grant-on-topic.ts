import {
  AclOperations,
  AclPermissionTypes,
  ResourcePatternTypes,
  ResourceTypes,
  type Admin,
} from '@platformatic/kafka';

export type Right = keyof typeof AclOperations;

/** Gives the user `relay` these rights on the topic, and no others. */
export async function grantOnTopic(admin: Admin, topic: string, rights: readonly Right[]): Promise<void> {
  const creations = rights.map((right) => ({
    resourceType: ResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:relay',
    host: '*',
    operation: AclOperations[right],
    permissionType: AclPermissionTypes.ALLOW,
  }));
  if (creations.length > 0) await admin.createAcls({ creations });
}
