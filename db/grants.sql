-- The API reads all tables except Django's sessions, its admin log and the permissions of groups.
grant usage on schema public, invalidation to spms_api;
grant select on all tables in schema public to spms_api;
revoke select on django_session, django_admin_log, django_content_type, auth_permission,
  auth_group, auth_group_permissions
  from spms_api;
grant select on invalidation.current_incarnation to spms_api;
-- After a restart of Postgres the API may be the first to find that no incarnation has begun.
grant execute on function invalidation.begin_incarnation() to spms_api;
-- POST /users/log-out revokes the session.
grant select, insert, update, delete on invalidation.session_revocation to spms_api;

-- Tables that requests to the API write.
grant insert, update, delete on
  adminoptions_admintask, agencies_affiliation, agencies_branch, agencies_businessarea,
  agencies_departmentalservice, agencies_division, agencies_division_directorate_email_list,
  caretakers_caretaker, contacts_usercontact, documents_projectdocument, medias_projectphoto,
  medias_useravatar, projects_externalprojectdetails, projects_project, projects_projectarea,
  projects_projectdetail, projects_projectmember, projects_studentprojectdetails,
  users_educationentry, users_employmententry, users_publicstaffprofile, users_user,
  users_userprofile, users_userwork
  to spms_api;
grant insert on documents_conceptplan to spms_api;
grant update, delete on
  communications_comment, medias_aecendorsementpdf, medias_businessareaphoto,
  medias_projectplanmethodologyphoto
  to spms_api;
grant update on agencies_agency, documents_annualreport to spms_api;

-- Rows that the API deletes together with a branch, a project or a user.
grant delete on
  communications_reaction, contacts_address, documents_conceptplan, documents_custompublication,
  documents_endorsement, documents_progressreport, documents_projectclosure,
  documents_projectplan, documents_studentreport, medias_projectdocumentpdf,
  users_doipublication, users_publicstaffprofile_keyword_tags, users_user_groups,
  users_user_user_permissions
  to spms_api;
grant delete, select (user_id) on django_admin_log to spms_api;

-- The invalidator reads the event log and its rules.
grant usage on schema public, invalidation to spms_invalidator;
grant select on invalidation.event, invalidation.rules, invalidation.watched_table,
  invalidation.build, invalidation.current_incarnation, invalidation.retention_floor, invalidation.checkpoint,
  invalidation.cursor
  to spms_invalidator;
-- It records its cursors, and begins a new incarnation.
grant insert, update on invalidation.cursor, invalidation.retention_floor to spms_invalidator;
grant delete on invalidation.cursor to spms_invalidator;
grant insert, delete on invalidation.checkpoint to spms_invalidator;
grant execute on function invalidation.begin_incarnation() to spms_invalidator;
-- It empties segments. The lock for that requires TRUNCATE.
grant select, truncate on invalidation.event_0, invalidation.event_1, invalidation.event_2,
  invalidation.event_3
  to spms_invalidator;
-- Its lookups read the tables that link changed rows to entries.
grant select on
  agencies_businessarea, agencies_division_directorate_email_list, caretakers_caretaker,
  documents_conceptplan, documents_progressreport, documents_projectclosure,
  documents_projectdocument, documents_projectplan, documents_studentreport, medias_projectphoto,
  projects_project, projects_projectarea, projects_projectdetail, projects_projectmember,
  users_publicstaffprofile, users_publicstaffprofile_keyword_tags, users_userwork
  to spms_invalidator;
-- Of these tables they read only columns that are neither secret nor personal.
grant select (id, is_aec, is_superuser) on users_user to spms_invalidator;
grant select (id, primary_user_id, project_id, requester_id, secondary_users) on adminoptions_admintask
  to spms_invalidator;
